"""One owner a data folder, for as long as it lives and no longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dataserver.folder import DataFolder, FolderError, FolderInUse, Owner, hold

HOLD_AND_WAIT = """
import sys
from pathlib import Path
from dataserver.folder import DataFolder, hold
with hold(DataFolder(Path(sys.argv[1])), command="serve") as held:
    held.announce("http://x:1")
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "a" / "b")


def test_a_held_folder_is_refused_to_others_with_the_owners_name(folder: DataFolder) -> None:
    with (
        hold(folder, command="import"),
        pytest.raises(FolderInUse, match=rf"dataserver import.*pid {os.getpid()}"),
    ):
        hold(folder, command="serve").__enter__()


def test_a_folder_is_free_when_its_owner_ends(folder: DataFolder) -> None:
    for _ in range(2):
        with hold(folder, command="serve"):
            pass


def test_the_folders_are_for_their_user_alone(folder: DataFolder) -> None:
    with hold(folder, command="serve"):
        modes = [path.stat().st_mode & 0o777 for path in (folder.root, folder.databases, folder.lock)]
    assert modes == [0o700, 0o700, 0o600]


def test_an_owner_that_is_killed_leaves_the_folder_free(folder: DataFolder) -> None:
    command = [sys.executable, "-c", HOLD_AND_WAIT, str(folder.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as owner:  # noqa: S603 - our own
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"held\n"
        with pytest.raises(FolderInUse) as refused:
            hold(folder, command="serve").__enter__()
        assert refused.value.owner == Owner(pid=owner.pid, command="serve", url="http://x:1")
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    with hold(folder, command="serve"):
        pass


def test_a_place_that_cannot_hold_a_folder_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="cannot be made"):
        hold(DataFolder(tmp_path / "file" / "x"), command="serve").__enter__()
