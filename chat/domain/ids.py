"""Ids as they are on the wire: texts of digits. Pure."""

from __future__ import annotations

import re
from typing import Final

from chat.domain.refusals import InvalidValue, NotFound

MAX_CLIENT_ID_CHARACTERS: Final = 64

_ID: Final = re.compile(r"[1-9][0-9]{0,14}")
_CLIENT_ID: Final = re.compile(r"[\x21-\x7e]{1,64}")


def parsed_id(text: str, what: str) -> int:
    """Return the id that `text` is.

    Raises:
        NotFound: It can be none, so there is no such `what`.
    """
    if not _ID.fullmatch(text):
        raise NotFound(f"there is no {what} {text[:64]!r}", what=what)
    return int(text)


def maybe_number(text: str) -> int | None:
    """Return the id that `text` is, None if it can be none."""
    return int(text) if _ID.fullmatch(text) else None


def check_client_id(text: str) -> str:
    """Return `text` if it can be a client id.

    Raises:
        InvalidValue: It can't.
    """
    if not _CLIENT_ID.fullmatch(text):
        raise InvalidValue(
            f"the client id has to be 1 to {MAX_CLIENT_ID_CHARACTERS} visible ASCII characters",
            field="client_id",
        )
    return text
