"""Restores a file, or a database of a folder, in children that are killed at a step: `[step, way, path, source, key]`."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path

import anyio

import storage
from storage import StorageSettings
from tests.support.dying_steps import serve
from workers import FileKeySource


async def restore(way: str, path: str, source: str, key: str | None) -> None:
    file, backup = Path(path), Path(source)
    keys = {} if key is None else {name: FileKeySource(Path(key)) for name in (file.name, file.stem)}
    settings = StorageSettings(kind="thread", worker_count=1, keys=keys)
    if way == "alone":
        await storage.restore(backup, file, settings)
        return
    async with storage.open_databases(file.parent, settings) as databases:
        await databases.restore(file.stem, backup)


def load() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for way in ("alone", "served"):
            with suppress(storage.DatabaseNotFound):
                anyio.run(restore, way, f"{folder}/none.db", f"{folder}/nothing.db", None)


if __name__ == "__main__":
    serve(lambda *arguments: anyio.run(restore, *arguments), load=load)
