"""What files tell about themselves, and what is said of those that lie."""

from __future__ import annotations

import contextlib
import os
import random
import warnings
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from tests.support import sample_files
from tests.support.file_tasks import MeddlingTask, RecordingTask
from workers.errors import TaskCancelled
from workers.methods import Task
from workers.services.files import tars, zips
from workers.services.files.entries import escapes
from workers.services.files.errors import FileChanged, FileError, FileUnreadable
from workers.services.files.looking import Looked
from workers.services.files.metadata import read_metadata
from workers.services.files.roots import opened
from workers.services.files.types import ArchiveFacts, AudioFacts, FileType, ImageFacts, PdfFacts, TextFacts

if TYPE_CHECKING:
    from pathlib import Path

    from workers.services.files.types import Facts, Metadata


def looked_at(root: Path, data: bytes, task: Task | None = None) -> Metadata:
    (root / "file").write_bytes(data)
    return read_metadata(str(root), "file", task or Task())


def facts(root: Path, data: bytes) -> Facts | None:
    return looked_at(root, data).facts


def test_metadata_holds_type_size_and_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"hello\n")
    os.utime(tmp_path / "file", (1_000_000_000, 1_000_000_000))
    found = read_metadata(str(tmp_path), "file", Task())
    assert found.type == FileType(mime="text/plain", encoding="ascii")
    assert (found.size_bytes, found.modified_at) == (6, 1_000_000_000.0)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "AVIF"])
def test_a_picture_tells_its_size(tmp_path: Path, kind: str) -> None:
    found = facts(tmp_path, sample_files.picture(kind))
    assert isinstance(found, ImageFacts)
    assert (found.format, found.width, found.height, found.frames_count) == (kind, 31, 17, 1)
    assert not found.has_location


def test_a_photograph_tells_when_where_and_how_it_was_held(tmp_path: Path) -> None:
    assert facts(tmp_path, sample_files.picture("JPEG", is_told=True)) == ImageFacts(
        format="JPEG",
        width=31,
        height=17,
        mode="RGB",
        frames_count=1,
        orientation=6,
        taken_at="2026:11:23 10:00:00",
        camera="Box 1",
        has_location=True,
    )


def test_a_sound_tells_its_length(tmp_path: Path) -> None:
    assert facts(tmp_path, sample_files.sound(seconds=3)) == AudioFacts(
        duration_s=3.0,
        bitrate_kbps=128.0,
        sample_rate_hz=8000,
        channels_count=1,
        title=None,
        artist=None,
        album=None,
    )


def test_a_sound_of_a_kind_that_is_not_read_has_a_type_and_no_facts(tmp_path: Path) -> None:
    found = looked_at(tmp_path, b"MThd\0\0\0\6\0\0\0\1\0\x60MTrk\0\0\0\4\0\xff\x2f\0")
    assert (found.type.mime, found.facts) == ("audio/midi", None)


def test_a_sound_whose_tags_lie_about_their_length_is_called_unreadable(tmp_path: Path) -> None:
    flac = b"fLaC" + bytes([0x84]) + (2**24 - 1).to_bytes(3, "big") + b"\xff" * 40
    with pytest.raises(FileUnreadable):
        looked_at(tmp_path, flac)


def test_a_pdf_tells_its_pages_and_an_encrypted_one_only_that_it_is(tmp_path: Path) -> None:
    found = facts(tmp_path, sample_files.pdf(pages=3))
    assert isinstance(found, PdfFacts)
    assert (found.pages_count, found.title, found.author) == (3, "Blank", "Nobody")
    found = facts(tmp_path, sample_files.pdf(password="secret"))  # noqa: S106 - of a blank page
    assert found == PdfFacts(pages_count=None, is_encrypted=True, title=None, author=None, producer=None)


def test_an_archive_tells_its_entries(tmp_path: Path) -> None:
    entries = {"a.txt": b"x" * 1000, "b/c.txt": b"y"}
    for made, mime in (
        (sample_files.packed_zip(entries), "application/zip"),
        (sample_files.packed_tar(entries), "application/x-tar"),
    ):
        found = looked_at(tmp_path, made)
        assert found.type.mime == mime
        assert isinstance(found.facts, ArchiveFacts)
        assert (found.facts.entries_count, found.facts.unpacked_bytes) == (2, 1001)
        assert found.facts.names == ("a.txt", "b/c.txt")
        assert found.facts.is_complete
        assert not found.facts.has_escapes
        assert not found.facts.has_overlaps


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"one\ntwo\n", ("ascii", 8, 2, "\n")),
        ("eins\r\nzwei drei ä".encode(), ("utf-8", 17, 2, "\r\n")),
        ("\ufeffa\nb".encode(), ("utf-8-sig", 3, 2, "\n")),
        ("x\ny\n".encode("utf-16"), ("utf-16", 4, 2, "\n")),
        ("x".encode("utf-32"), ("utf-32", 1, 1, None)),
        (b"old\rmac\r", ("ascii", 8, 1, "\r")),
        (
            "Съешь же ещё этих мягких французских булок, да выпей чаю. Широкая электрификация южных губерний даст мощный "
            "толчок подъёму сельского хозяйства.\n".encode("cp1251"),
            ("cp1251", 144, 1, "\n"),
        ),
    ],
    ids=["ascii", "utf-8", "utf-8-sig", "utf-16", "utf-32", "mac", "cp1251"],
)
def test_a_text_tells_its_encoding_and_length(
    tmp_path: Path, text: bytes, expected: tuple[str, int, int, str | None]
) -> None:
    found = facts(tmp_path, text)
    assert isinstance(found, TextFacts)
    assert (found.encoding, found.chars_count, found.lines_count, found.newline) == expected


def test_a_long_text_is_read_to_its_end_with_progress(tmp_path: Path) -> None:
    task = RecordingTask()
    text = "zeile ä\n".encode() * 100_000
    found = looked_at(tmp_path, text, task)
    assert isinstance(found.facts, TextFacts)
    assert found.facts.chars_count == 800_000
    assert task.seen[-1] == (len(text), len(text))
    assert len(task.seen) > 3


def test_a_text_that_turns_into_something_else_is_called_so(tmp_path: Path) -> None:
    with pytest.raises(FileUnreadable):
        looked_at(tmp_path, b"plain\n" * 50_000 + b"\xff\xfe\x00")


def test_a_file_nobody_knows_has_a_type_and_no_facts(tmp_path: Path) -> None:
    found = looked_at(tmp_path, random.Random(3).randbytes(1000))  # noqa: S311 - the same bytes each time
    assert found.type == FileType(mime="application/octet-stream")
    assert found.facts is None
    assert looked_at(tmp_path, b"").type.mime == "inode/x-empty"


# -- hostile ----------------------------------------------------------------------------------------------------------


def test_a_zip_bomb_is_measured_not_unpacked(tmp_path: Path) -> None:
    inner = sample_files.packed_zip({f"{index}.bin": bytes(3_000_000) for index in range(3)})
    outer = sample_files.packed_zip({f"{index}.zip": inner for index in range(5)})
    found = facts(tmp_path, outer)
    assert isinstance(found, ArchiveFacts)
    assert found.entries_count == 5
    assert found.unpacked_bytes == 5 * len(inner)
    found = facts(tmp_path, inner)
    assert isinstance(found, ArchiveFacts)
    assert found.unpacked_bytes == 9_000_000
    assert found.unpacked_bytes > 500 * found.packed_bytes


def test_a_zip_whose_entries_share_their_bytes_is_called_so(tmp_path: Path) -> None:
    found = facts(tmp_path, sample_files.overlapping_zip(50))
    assert isinstance(found, ArchiveFacts)
    assert found.has_overlaps
    assert (found.entries_count, found.unpacked_bytes) == (50, 50_000_000)


def test_a_zip_with_a_huge_directory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "MAX_DIRECTORY_BYTES", 2000)
    assert facts(tmp_path, sample_files.overlapping_zip(10)) is not None
    with pytest.raises(FileUnreadable, match="too much reading"):
        looked_at(tmp_path, sample_files.overlapping_zip(100))


def test_of_an_archive_with_many_entries_the_first_are_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zips, "MAX_ENTRIES_COUNT", 100)
    monkeypatch.setattr(tars, "MAX_ENTRIES_COUNT", 100)
    names = {f"{index:05d}": b"" for index in range(105)}
    zipped = facts(tmp_path, sample_files.packed_zip(names))
    assert isinstance(zipped, ArchiveFacts)
    assert (zipped.entries_count, zipped.is_complete) == (105, False)
    assert len(zipped.names) == 50
    tarred = facts(tmp_path, sample_files.packed_tar(names))
    assert isinstance(tarred, ArchiveFacts)
    assert (tarred.entries_count, tarred.is_complete) == (100, False)


@pytest.mark.parametrize(
    ("name", "leads_out"),
    [
        ("a/b", False), ("a/../b", False), ("./a", False), ("a..b/...", False), ("", False), ("a:b", True),
        ("../a", True), ("/etc/passwd", True), ("a/../../b", True), ("..\\a", True), ("C:\\a", True), ("\\a", True),
    ],
)  # fmt: skip
def test_a_name_that_leads_out_is_known_as_such(name: str, leads_out: bool) -> None:
    assert escapes(name) is leads_out


def test_an_archive_that_would_write_outside_its_folder_is_called_so(tmp_path: Path) -> None:
    for made in (
        sample_files.packed_zip({"ok": b"", "../../evil": b""}),
        sample_files.packed_tar({"/etc/evil": b""}),
        sample_files.packed_tar({"ok": b""}, links={"deep/link": "../../out"}),
        sample_files.packed_tar({"ok": b""}, links={"link": "/etc"}),
    ):
        found = facts(tmp_path, made)
        assert isinstance(found, ArchiveFacts)
        assert found.has_escapes
    found = facts(tmp_path, sample_files.packed_tar({"ok": b""}, links={"deep/link": "../ok", "top": "ok"}))
    assert isinstance(found, ArchiveFacts)
    assert not found.has_escapes


SAMPLES = {
    "png": sample_files.picture("PNG"),
    "jpeg": sample_files.picture("JPEG", is_told=True),
    "tiff": sample_files.picture("TIFF", is_told=True),
    "webp": sample_files.picture("WEBP"),
    "avif": sample_files.picture("AVIF"),
    "wav": sample_files.sound(),
    "pdf": sample_files.pdf(),
    "zip": sample_files.packed_zip({"a": b"x" * 500, "b": b"y"}),
    "tar": sample_files.packed_tar({"a": b"x" * 500}),
    "utf-16": "text\n".encode("utf-16"),
}


@pytest.mark.parametrize("kind", list(SAMPLES))
def test_truncated_and_damaged_files_are_described_or_called_unreadable(tmp_path: Path, kind: str) -> None:
    whole, chance = SAMPLES[kind], random.Random(kind)  # noqa: S311 - the same damage each time
    outcomes = set()
    for _ in range(40):
        if chance.random() < 0.5:  # noqa: SIM108 - as it reads
            data = bytearray(whole[: chance.randrange(len(whole))])
        else:
            data = bytearray(whole)
        for _ in range(chance.choice([0, 1, 5, 20]) if data else 0):
            data[chance.randrange(len(data))] = chance.choice([0, 255, chance.randrange(256)])
        try:
            looked_at(tmp_path, bytes(data))
            outcomes.add("described")
        except FileError:
            outcomes.add("unreadable")
    assert outcomes <= {"described", "unreadable"}


def test_random_bytes_are_described_or_called_unreadable(tmp_path: Path) -> None:
    chance = random.Random(1)  # noqa: S311 - the same bytes each time
    starts = [whole[: chance.randrange(4, 16)] for whole in SAMPLES.values()] + [b""] * 20
    for start in starts:
        with contextlib.suppress(FileUnreadable):
            looked_at(tmp_path, start + chance.randbytes(2000))


def test_a_file_that_leads_the_rules_in_a_circle_is_of_no_known_type(tmp_path: Path) -> None:
    fat_binary_inside_itself = bytes.fromhex("cafebabe 00000002 01000007 00000003") + bytes(48)
    assert looked_at(tmp_path, fat_binary_inside_itself).type.mime == "application/octet-stream"


def test_a_picture_of_too_many_pixels_is_refused_from_its_header(tmp_path: Path) -> None:
    bomb = bytearray(sample_files.picture("BMP"))
    bomb[18:26] = (60_000).to_bytes(4, "little") * 2
    with pytest.raises(FileUnreadable):
        looked_at(tmp_path, bytes(bomb))


def test_reading_facts_stops_when_the_task_does(tmp_path: Path) -> None:
    with pytest.raises(TaskCancelled):
        looked_at(
            tmp_path, sample_files.packed_tar({str(index): b"x" for index in range(50)}), MeddlingTask(at=5)
        )


def test_a_file_that_changes_while_it_is_described_is_reported_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text\n" * 100_000)
    os.utime(tmp_path / "file", (1_000_000_000, 1_000_000_000))
    task = MeddlingTask(lambda: os.truncate(tmp_path / "file", 600_000), at=3)
    with pytest.raises(FileChanged):
        read_metadata(str(tmp_path), "file", task)


def test_a_parser_reads_no_more_than_it_is_allowed(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1000))
    with opened(str(tmp_path), "file") as fd:
        file = Looked(fd, "file", Task())
        file.left_bytes = 1500
        assert file.read(10**12) == bytes(1000)
        file.seek(-200, os.SEEK_END)
        assert (file.tell(), len(file.read())) == (800, 200)
        assert file.read() == b""
        file.seek(0)
        with pytest.raises(FileUnreadable):
            file.read()
        buffer = bytearray(301)
        with pytest.raises(FileUnreadable):
            file.readinto(buffer)
        with pytest.raises(ValueError, match="before"):
            file.seek(-1)
        assert file.readable()
        assert file.seekable()


def test_no_filter_of_warnings_is_left_behind(tmp_path: Path) -> None:
    before, pixels = list(warnings.filters), Image.MAX_IMAGE_PIXELS
    facts(tmp_path, SAMPLES["png"])
    assert list(warnings.filters) == before
    assert pixels == Image.MAX_IMAGE_PIXELS
