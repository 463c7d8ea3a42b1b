"""What can be said of a file; plain values, so that a caller does not load the readers that find them."""

from __future__ import annotations

import msgspec


class FileType(msgspec.Struct, frozen=True, kw_only=True):
    """What a file is."""

    mime: str
    """Its media type; `application/octet-stream` when nothing is known, `inode/x-empty` for an empty file."""
    encoding: str | None = None
    """Of a text, as Python names it."""


class ImageFacts(msgspec.Struct, frozen=True, kw_only=True, tag="image"):
    """Of a picture."""

    format: str
    width: int
    height: int
    mode: str
    """How a pixel is stored, as Pillow names it: `RGB`, `L`, `1` ..."""
    frames_count: int
    orientation: int | None
    """1 to 8, as EXIF counts; None when it is not told."""
    taken_at: str | None
    """`YYYY:MM:DD HH:MM:SS` of the camera's own clock."""
    camera: str | None
    has_location: bool
    """The file tells where it was taken: strip that before others see it."""


class AudioFacts(msgspec.Struct, frozen=True, kw_only=True, tag="audio"):
    """Of a sound, or of a video's sound."""

    duration_s: float | None
    bitrate_kbps: float | None
    sample_rate_hz: int | None
    channels_count: int | None
    title: str | None
    artist: str | None
    album: str | None


class PdfFacts(msgspec.Struct, frozen=True, kw_only=True, tag="pdf"):
    """Of a PDF; of an encrypted one only that."""

    pages_count: int | None
    is_encrypted: bool
    title: str | None
    author: str | None
    producer: str | None


class ArchiveFacts(msgspec.Struct, frozen=True, kw_only=True, tag="archive"):
    """Of an archive, from its directory alone: nothing is unpacked."""

    entries_count: int
    is_complete: bool
    """Whether all entries were looked at; else the count and sizes are of the first ones."""
    packed_bytes: int
    unpacked_bytes: int
    """What it says it unpacks to: a bomb may lie, so unpack with a limit all the same."""
    is_encrypted: bool
    has_escapes: bool
    """A name or link leads out of the folder it would be unpacked to."""
    has_overlaps: bool
    """Entries share bytes, which no honest archive does."""
    names: tuple[str, ...]
    """The first ones."""


class TextFacts(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """Of a text."""

    encoding: str
    chars_count: int
    lines_count: int
    newline: str | None
    """The first one: `\\n`, `\\r\\n` or `\\r`."""


Facts = ImageFacts | AudioFacts | PdfFacts | ArchiveFacts | TextFacts


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a file."""

    type: FileType
    size_bytes: int
    modified_at: float
    """UTC seconds."""
    facts: Facts | None
    """None where no reader knows the type."""
