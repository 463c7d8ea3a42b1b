"""Is it text, and in which encoding?

A byte-order mark says so, and what decodes as UTF-8 is UTF-8. Anything else is a guess from the frequency of letters,
made by charset-normalizer (the one maintained detector; MIT): only for files without control characters, and only
what it finds readable.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from charset_normalizer import from_bytes

GUESS_BYTES = 32 * 1024
"""How much is looked at for a guess."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\f\r\x1b\b\x1a")) + b"\x7f"


@dataclass(frozen=True)
class Text:
    """The start of a text."""

    encoding: str
    """As Python names it; `utf-8-sig` and `utf-16` have a byte-order mark."""
    start: str


def text_of(head: bytes, *, is_whole: bool) -> Text | None:
    """Return what `head` reads as; None when it is no text.

    When it is not the whole file, a character cut at its end is left out.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return _decoded(head, encoding, is_whole=is_whole)
    if head.translate(None, _CONTROLS) != head:
        return None
    for encoding in ("ascii", "utf-8"):
        if (text := _decoded(head, encoding, is_whole=is_whole)) is not None:
            return text
    best = from_bytes(head[:GUESS_BYTES]).best()
    if best is None:
        return None
    return _decoded(head, best.encoding, is_whole=is_whole)


def _decoded(head: bytes, encoding: str, *, is_whole: bool) -> Text | None:
    try:
        return Text(encoding, codecs.getincrementaldecoder(encoding)().decode(head, final=is_whole))
    except UnicodeDecodeError:
        return None
