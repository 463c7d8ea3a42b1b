"""Which chunk comes next, and what is said of any other."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.services.files.errors import ChunkRefused, FileUnreadable
from workers.services.files.manifests import Manifest, accept, chunk_name, chunks_count, index_of


def manifest(*parts: bytes) -> Manifest:
    whole = b"".join(parts)
    return Manifest(
        size_bytes=len(whole),
        chunk_bytes=len(parts[0]),
        algorithm="sha256",
        chunks=tuple(hashlib.sha256(part).hexdigest() for part in parts),
        digest=hashlib.sha256(whole).hexdigest(),
    )


def offer(known: Manifest, index: int, part: bytes) -> tuple[str, int | None]:
    """Return why a chunk was refused, and which one stood in its place."""
    try:
        accept(known, index, length=len(part), digest=hashlib.sha256(part).hexdigest())
    except ChunkRefused as error:
        return (
            (error.details["reason"], error.details["found"])
            if error.details["index"] == index
            else ("?", None)
        )
    return "accepted", None


def test_each_chunk_is_taken_at_its_place_alone() -> None:
    parts = (b"aaaa", b"bbbb", b"cc")
    known = manifest(*parts)
    assert [[offer(known, place, part) for part in parts] for place in range(3)] == [
        [("accepted", None), ("misplaced", 1), ("misplaced", 2)],
        [("doubled", 0), ("accepted", None), ("misplaced", 2)],
        [("doubled", 0), ("doubled", 1), ("accepted", None)],
    ]


def test_what_the_manifest_does_not_know_is_damaged() -> None:
    known = manifest(b"aaaa", b"bb")
    assert offer(known, 0, b"aaab") == ("damaged", None)
    assert offer(known, 1, b"b") == ("damaged", None)
    assert offer(known, 1, b"") == ("damaged", None)


def test_equal_chunks_may_stand_for_each_other() -> None:
    known = manifest(b"aaaa", b"aaaa", b"bbbb")
    assert offer(known, 1, b"aaaa") == ("accepted", None)


@given(st.integers(0, 2000), st.integers(1, 3000))
def test_the_lengths_of_all_chunks_make_the_file(size: int, chunk: int) -> None:
    count = chunks_count(size, chunk)
    known = Manifest(size_bytes=size, chunk_bytes=chunk, algorithm="sha256", chunks=("",) * count, digest="")
    lengths = [known.length_of(index) for index in range(count)]
    assert sum(lengths) == size
    assert all(each == chunk for each in lengths[:-1])
    assert all(0 < each <= chunk for each in lengths[-1:])


@given(st.integers(0, 10**9))
def test_a_chunk_is_found_by_its_name(index: int) -> None:
    assert index_of(chunk_name(index)) == index


@pytest.mark.parametrize(
    "name",
    [
        "1.chunk",
        "000001.chunk2",
        "0000001.chunk",
        "manifest.json",
        "-00001.chunk",
        ".000001.chunk",
        "00000\u0661.chunk",
    ],
)
def test_no_other_name_is_a_chunk(name: str) -> None:
    assert index_of(name) is None


@pytest.mark.parametrize(
    "change",
    [{"size_bytes": 7}, {"chunks": ("00" * 32,)}, {"digest": "00"}, {"algorithm": "sha512"}, {"digest": "ZZ" * 32}],
)  # fmt: skip
def test_a_manifest_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    known = manifest(b"aaaa", b"bbbb", b"cc")
    known.check()
    with pytest.raises(FileUnreadable):
        msgspec.structs.replace(known, **change).check()
