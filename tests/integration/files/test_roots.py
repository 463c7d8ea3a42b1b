"""No path leads out of its root, whatever is in the way."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from workers.services.files.errors import FileError, FileMissing, PathRefused
from workers.services.files.roots import MAX_DEPTH, folder, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("no_descriptor_left")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_text("outside")
    inside = tmp_path / "root"
    (inside / "a" / "b").mkdir(parents=True)
    (inside / "a" / "b" / "file").write_text("inside")
    return inside


@pytest.fixture
def no_descriptor_left() -> Iterator[None]:
    before = _descriptors()
    yield
    assert _descriptors() == before


def _descriptors() -> set[str]:
    return {each.name for each in Path("/proc/self/fd").iterdir()}


def read(root: Path, path: str) -> bytes:
    with opened(str(root), path) as fd:
        return os.read(fd, 100)


def test_a_file_below_the_root_is_read(root: Path) -> None:
    assert read(root, "a/b/file") == b"inside"


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "/etc/passwd", "..", "../secret", "a/../../secret", "a/..", "./a/b/file", "a//b/file", "a/b/file/",
        "a/b/file\0.txt", "a/./b/file", "/".join("x" * (MAX_DEPTH + 1)),
    ],
)  # fmt: skip
def test_a_path_that_is_not_plain_is_refused(root: Path, path: str) -> None:
    with pytest.raises(PathRefused):
        read(root, path)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("link", "../secret"), ("link", "a/b/file"), ("link", "/etc/passwd"), ("link", "missing"), ("link", "link"),
        ("a/link", "../../secret"),
    ],
)  # fmt: skip
def test_a_link_is_refused_wherever_it_leads(root: Path, link: str, target: str) -> None:
    (root / link).symlink_to(target)
    with pytest.raises(PathRefused):
        read(root, link)


def test_a_link_on_the_way_is_refused(root: Path) -> None:
    (root / "up").symlink_to("..")
    (root / "there").symlink_to("a")
    for path in ("up/secret", "there/b/file"):
        with pytest.raises(PathRefused):
            read(root, path)


def test_what_is_no_regular_file_is_refused_without_waiting_for_it(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(root)  # the name of a socket is short
        server.bind("socket")
        for path in ("pipe", "socket", "a", "a/b/file/c"):
            with pytest.raises(PathRefused):
                read(root, path)


def test_a_file_that_is_not_there_is_called_missing_and_its_root_is_not_told(root: Path) -> None:
    with pytest.raises(FileMissing) as caught:
        read(root, "a/none")
    assert str(caught.value) == "'a/none' does not exist"
    with pytest.raises(FileMissing) as caught:
        read(root / "nowhere", "a")
    assert "nowhere" not in str(caught.value)


def test_a_name_the_system_does_not_take_is_one_clear_error(root: Path) -> None:
    with pytest.raises(FileError, match="too long"):
        read(root, "n" * 300)


def test_folders_are_made_on_request_but_never_through_a_link(root: Path) -> None:
    with folder(str(root), "x/y/z", create=True) as fd:
        assert os.listdir(fd) == []  # noqa: PTH208 - of a descriptor
    (root / "out").symlink_to("..")
    with pytest.raises(PathRefused), folder(str(root), "out/made", create=True):
        pass
    assert not (root.parent / "made").exists()


def test_who_swaps_a_folder_for_a_link_never_leads_a_reader_out(root: Path) -> None:
    (root.parent / "b").mkdir()
    (root.parent / "b" / "file").write_text("outside")
    (root / "trap").symlink_to("..")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            (root / "a").rename(root / "kept")
            (root / "trap").rename(root / "a")
            (root / "a").rename(root / "trap")
            (root / "kept").rename(root / "a")

    rival = threading.Thread(target=swap)
    rival.start()
    outcomes = []
    try:
        for _ in range(3000):
            try:
                outcomes.append(read(root, "a/b/file"))
            except (PathRefused, FileMissing) as error:
                outcomes.append(type(error).__name__.encode())
    finally:
        stop.set()
        rival.join()
    assert set(outcomes) <= {b"inside", b"PathRefused", b"FileMissing"}
    assert b"inside" in outcomes
