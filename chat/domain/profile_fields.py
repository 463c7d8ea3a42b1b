"""What a profile holds: a display name, and short texts under names of the users' own. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from chat.domain.refusals import InvalidValue
from chat.domain.texts import check_text
from chat.domain.users import MAX_DISPLAY_NAME_CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

DISPLAY_NAME: Final = "display_name"
MAX_FIELD_COUNT: Final = 50
MAX_FIELD_CHARACTERS: Final = 4_000

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_LINES: Final = "\n\t"


class ProfileChange(NamedTuple):
    """A change that keeps the rules."""

    display_name: str | None
    fields: str
    """As JSON, null for those to take away."""


def checked_change(fields: Mapping[str, str | None]) -> ProfileChange:
    """Return a change of a profile as it is written.

    Raises:
        InvalidValue: A name or a text breaks its rule, or nothing is to change.
    """
    if not 0 < len(fields) <= MAX_FIELD_COUNT:
        raise InvalidValue(
            f"{len(fields)} fields are given; 1 to {MAX_FIELD_COUNT} are allowed", field="fields"
        )
    display_name = None
    texts: dict[str, str | None] = {}
    for name, text in fields.items():
        if name == DISPLAY_NAME:
            if text is None:
                raise InvalidValue("the display name can't be taken away", field=DISPLAY_NAME)
            check_text(text, DISPLAY_NAME, MAX_DISPLAY_NAME_CHARACTERS)
            display_name = text
        else:
            texts[_checked_name(name)] = text if text is None else _checked_text(name, text)
    return ProfileChange(display_name, msgspec.json.encode(texts).decode())


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidValue(
            f"the field {name[:64]!r} has to begin with a-z and have at most 32 of a-z, 0-9 and '_'",
            field="fields",
        )
    return name


def _checked_text(name: str, text: str) -> str:
    if len(text) > MAX_FIELD_CHARACTERS:
        raise InvalidValue(
            f"the field {name!r} has {len(text)} characters; at most {MAX_FIELD_CHARACTERS} are allowed",
            field=name,
        )
    if any(character < " " and character not in _LINES for character in text):
        raise InvalidValue(
            f"the field {name!r} has control characters; only lines and tabs are allowed", field=name
        )
    return text
