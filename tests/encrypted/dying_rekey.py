"""Gives files other keys in children that are killed at a step: `[step, path, old, new]`, with paths of key files or null."""

from __future__ import annotations

from pathlib import Path

from storage.file_keys import Key
from storage.sqlite.rekeying import RekeyParams, RekeyService
from tests.support.dying_steps import serve
from workers import Task


def key_in(path: str | None) -> Key | None:
    return None if path is None else Key(Path(path).read_bytes())


def rekey(path: str, old: str | None, new: str | None) -> None:
    RekeyService({}).rekey(RekeyParams(path=path, old=key_in(old), new=key_in(new)), Task())


if __name__ == "__main__":
    serve(rekey)
