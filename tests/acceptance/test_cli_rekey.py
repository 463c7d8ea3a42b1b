"""What `dataserver rekey` refuses; `tests/encrypted` has what it does, for which another build of apsw is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest

from dataserver.folder import DataFolder, hold
from tests.support.command_line import called

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--to", "secret"], 2, "file:PATH, env:NAME or keyring:SERVICE/USER or `none`"),
        (["--to", "none", "--from", "env:"], 2, "file:PATH"),
        ([], 2, "--to"),
        (["--to", "env:NOTHING_OF_THAT_NAME"], 1, "no variable NOTHING_OF_THAT_NAME"),
        (["--to", "file:KEY"], 1, "apsw-sqlite3mc"),
    ],
)
@pytest.mark.skipif(hasattr(apsw, "mc_version"), reason="this build can encrypt")
def test_what_can_not_be_a_key_here_is_told(flags: list[str], code: int, words: str, tmp_path: Path) -> None:
    refused = called("rekey", "shop", *flags, "--data-dir", tmp_path / "data")
    assert (refused.returncode, words in refused.stderr) == (code, True), refused.stderr
    assert "Traceback" not in refused.stderr


def test_nobody_else_may_own_the_folder(tmp_path: Path) -> None:
    with hold(DataFolder(tmp_path / "data"), command="serve"):
        refused = called("rekey", "shop", "--to", "none", "--data-dir", tmp_path / "data")
    assert (refused.returncode, "in use by `dataserver serve`" in refused.stderr) == (1, True)


def test_one_that_is_not_encrypted_is_told_to_be_so_already(tmp_path: Path) -> None:
    (tmp_path / "data" / "data").mkdir(parents=True)
    connection = apsw.Connection(str(tmp_path / "data" / "chat.db"))
    connection.execute("CREATE TABLE t(a)")
    connection.close()
    done = called("rekey", "chat.db", "--to", "none", "--data-dir", tmp_path / "data")
    assert (done.returncode, "chat.db is in the clear already" in done.stderr) == (0, True), done.stderr
