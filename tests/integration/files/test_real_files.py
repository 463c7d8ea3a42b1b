"""Types and facts of 109 real files against the list that two other detectors and Pillow made of them."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from workers.methods import Task
from workers.services.files.detection import detect
from workers.services.files.hashing import hash_file
from workers.services.files.metadata import read_metadata
from workers.services.files.types import ArchiveFacts, ImageFacts, TextFacts

DATA = Path(__file__).parents[3].parent / "shared" / "data"
FILES = DATA / "files"

pytestmark = pytest.mark.skipif(
    not FILES.is_dir(), reason="NO REAL FILES: data/files of the shared folder is not beside this checkout"
)

OTHERWISE = {
    "tiny-v4.rar": "application/vnd.rar",  # the registered name of the type
    "tiny-v5.rar": "application/vnd.rar",
    "texture.dds": "image/vnd.ms-dds",  # the list has no type for it
    "utf8-bom.srt": "text/plain",  # subtitles: the rules know them only without a byte-order mark
}


def listed() -> list[dict[str, Any]]:
    with (DATA / "files.tsv").open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text, delimiter="\t"))


def test_every_file_is_of_the_type_that_one_of_two_other_detectors_says() -> None:
    wrong = []
    for row in listed():
        mime = detect(str(FILES), row["file"], Task()).mime
        if mime not in {row["mime_libmagic"], row["mime_file_type"]} and mime != OTHERWISE.get(row["file"]):
            wrong.append((row["file"], mime))
    assert wrong == []


def test_every_text_is_of_the_encoding_and_length_that_the_list_says() -> None:
    seen = 0
    for row in listed():
        expected = json.loads(row["metadata"] or "{}")
        if "encoding" in expected:
            found = read_metadata(str(FILES), row["file"], Task()).facts
            assert isinstance(found, TextFacts)
            assert (found.encoding, found.chars_count) == (expected["encoding"], expected["chars"]), row[
                "file"
            ]
            seen += 1
    assert seen == 13


def test_every_picture_has_the_size_that_the_list_says() -> None:
    seen = 0
    for row in listed():
        expected = json.loads(row["metadata"] or "{}")
        if "width" in expected:
            found = read_metadata(str(FILES), row["file"], Task()).facts
            assert isinstance(found, ImageFacts), row["file"]
            about = {"format": found.format, "width": found.width, "height": found.height}
            assert {**about, "frames": found.frames_count} == expected, row["file"]
            seen += 1
    assert seen == 18


def test_every_zip_has_the_entries_that_the_list_says() -> None:
    seen = 0
    for row in listed():
        expected = json.loads(row["metadata"] or "{}")
        if "entries" in expected:
            found = read_metadata(str(FILES), row["file"], Task()).facts
            assert isinstance(found, ArchiveFacts), row["file"]
            assert found.entries_count == expected["entries"], row["file"]
            assert found.is_encrypted is (row["file"] == "encrypted.zip")
            assert not found.has_overlaps, row["file"]
            seen += 1
    assert seen == 15


def test_every_file_has_the_sum_that_the_list_says() -> None:
    for row in listed():
        size, digests = hash_file(str(FILES), row["file"], ["sha256", "sha512"], Task())
        assert (size, digests["sha256"]) == (int(row["bytes"]), row["sha256"])
        assert digests["sha512"] == hashlib.sha512((FILES / row["file"]).read_bytes()).hexdigest()
