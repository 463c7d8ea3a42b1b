"""One small file of each kind that the metadata readers know, made here."""

from __future__ import annotations

import io
import struct
import tarfile
import wave
import zipfile
from typing import TYPE_CHECKING

from PIL import ExifTags, Image
from pypdf import PdfWriter

if TYPE_CHECKING:
    from collections.abc import Mapping


def picture(kind: str, *, width: int = 31, height: int = 17, is_told: bool = False) -> bytes:
    """Return a picture; one that `is_told` says where, when and by what it was taken, and lies on its side."""
    exif = Image.Exif()
    if is_told:
        exif[ExifTags.Base.Orientation] = 6
        exif[ExifTags.Base.Model] = "Box 1"
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "2026:11:23 10:00:00"
        exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] = "N"
    out = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(out, kind, exif=exif)
    return out.getvalue()


def sound(*, seconds: int = 2) -> bytes:
    """Return silence."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16000 * seconds))
    return out.getvalue()


def pdf(*, pages: int = 2, password: str | None = None) -> bytes:
    """Return blank pages."""
    out = io.BytesIO()
    writer = PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(100, 100)
    writer.add_metadata({"/Title": "Blank", "/Author": "Nobody"})
    if password is not None:
        writer.encrypt(password, algorithm="RC4-128")
    writer.write(out)
    return out.getvalue()


def packed_zip(entries: Mapping[str, bytes]) -> bytes:
    """Return a zip of `entries`."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return out.getvalue()


def packed_tar(entries: Mapping[str, bytes], *, links: Mapping[str, str] | None = None) -> bytes:
    """Return a tar of `entries` and symbolic `links`."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as file:
        for name, data in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
        for name, target in (links or {}).items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            file.addfile(entry)
    return out.getvalue()


def overlapping_zip(count: int = 50) -> bytes:
    """Return a zip whose `count` entries are all the same bytes: small, and large when unpacked."""
    whole = packed_zip({"bomb": bytes(1_000_000)})
    end = whole.rindex(b"PK\x05\x06")
    _, _, _, _, _, size, offset, _ = struct.unpack("<4s4H2LH", whole[end : end + 22])
    directory = whole[offset : offset + size] * count
    return (
        whole[:offset]
        + directory
        + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, len(directory), offset, 0)
    )
