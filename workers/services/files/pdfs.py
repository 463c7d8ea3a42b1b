"""Facts of a PDF, by pypdf: pure Python, BSD, well kept; a hostile file can cost time, which the deadline bounds."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, BinaryIO, cast

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from workers.services.files.errors import FileUnreadable
from workers.services.files.types import PdfFacts

if TYPE_CHECKING:
    from workers.methods import Task
    from workers.services.files.looking import Looked
    from workers.services.files.types import FileType

_MAX_TEXT = 200

logging.getLogger("pypdf").addHandler(
    logging.NullHandler()
)  # else what it says of damaged files goes to stderr


def facts(file: Looked, path: str, kind: FileType, task: Task) -> PdfFacts | None:  # noqa: ARG001 - the shape of a reader
    """Return the facts of a PDF.

    Raises:
        FileUnreadable: It is damaged.
    """
    try:
        reader = PdfReader(cast("BinaryIO", file), strict=False)
        if reader.is_encrypted:
            return PdfFacts(pages_count=None, is_encrypted=True, title=None, author=None, producer=None)
        about = reader.metadata
        return PdfFacts(
            pages_count=reader.get_num_pages(),
            is_encrypted=False,
            title=None if about is None else _text(about.title),
            author=None if about is None else _text(about.author),
            producer=None if about is None else _text(about.producer),
        )
    except _DAMAGE as error:
        raise FileUnreadable(f"{path!r} is a damaged PDF", path=path) from error


_DAMAGE = (
    PyPdfError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    OSError,
)
"""What pypdf raises on damaged files."""


def _text(value: object) -> str | None:
    return str(value)[:_MAX_TEXT] or None if value else None
