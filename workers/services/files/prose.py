"""Facts of a text: how long it is in its encoding, without holding it."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

from workers.services.files.errors import FileUnreadable
from workers.services.files.types import TextFacts

if TYPE_CHECKING:
    from workers.methods import Task
    from workers.services.files.looking import Looked
    from workers.services.files.types import FileType

_BLOCK_BYTES = 256 * 1024


def facts(file: Looked, path: str, kind: FileType, task: Task) -> TextFacts | None:
    """Return the facts of a text, read to its end.

    Raises:
        FileUnreadable: Its encoding, guessed from its start, does not hold to its end.
    """
    if kind.encoding is None:
        return None
    file.left_bytes = file.size  # it is read once
    decoder = codecs.getincrementaldecoder(kind.encoding)()
    chars = breaks = 0
    newline, last = None, ""
    try:
        while True:
            block = file.read(_BLOCK_BYTES)
            text = decoder.decode(block, final=not block)
            breaks += text.count("\n")
            newline = newline or _first_break(text)
            chars += len(text)
            last = text[-1:] or last
            task.progress(file.tell(), file.size)
            if not block:
                break
    except UnicodeDecodeError as error:
        raise FileUnreadable(f"{path!r} is not {kind.encoding} to its end", path=path) from error
    return TextFacts(
        encoding=kind.encoding,
        chars_count=chars,
        lines_count=breaks + (last not in {"", "\n"}),
        newline=newline,
    )


def _first_break(text: str) -> str | None:
    at = min((found for found in (text.find("\n"), text.find("\r")) if found >= 0), default=-1)
    if at < 0:
        return None
    return "\r\n" if text[at : at + 2] == "\r\n" else text[at]
