"""Facts of a sound from its headers, by tinytag: small, pure Python, MIT (mutagen knows more, and is GPL)."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, BinaryIO, cast

from tinytag import TinyTag, TinyTagException, UnsupportedFormatError

from workers.services.files.errors import FileUnreadable
from workers.services.files.types import AudioFacts

if TYPE_CHECKING:
    from workers.methods import Task
    from workers.services.files.looking import Looked
    from workers.services.files.types import FileType

_MAX_TEXT = 200


def facts(file: Looked, path: str, kind: FileType, task: Task) -> AudioFacts | None:  # noqa: ARG001 - the shape of a reader
    """Return the facts of a sound; None for a format that tinytag does not know.

    Raises:
        FileUnreadable: It is damaged.
    """
    try:
        tag = TinyTag.get(file_obj=cast("BinaryIO", file))
    except UnsupportedFormatError:
        return None
    except _DAMAGE as error:
        raise FileUnreadable(f"{path!r} is a damaged sound", path=path) from error
    return AudioFacts(
        duration_s=tag.duration,
        bitrate_kbps=tag.bitrate,
        sample_rate_hz=tag.samplerate,
        channels_count=tag.channels,
        title=_text(tag.title),
        artist=_text(tag.artist),
        album=_text(tag.album),
    )


_DAMAGE = (
    TinyTagException,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    OverflowError,
    ZeroDivisionError,
    struct.error,
)
"""What tinytag raises on damaged files."""


def _text(value: str | None) -> str | None:
    return value[:_MAX_TEXT] or None if value else None
