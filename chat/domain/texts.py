"""The rule for short texts that are shown on one line: names, topics, descriptions. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from chat.domain.refusals import InvalidValue

MAX_NAME_CHARACTERS = 100
MAX_TOPIC_CHARACTERS = 1_000
NO_CONTROLS: Final = r"^[^\u0000-\u001f]*$"
"""What a line's characters may be, in the language of JSON Schema."""


def check_text(value: str, name: str, most: int, *, least: int = 1) -> None:
    """Let a short text pass.

    Raises:
        InvalidValue: It is too long or too short, or has control characters.
    """
    if not least <= len(value) <= most:
        raise InvalidValue(
            f"the {name} has {len(value)} characters; {least} to {most} are allowed", field=name
        )
    if any(character < " " for character in value):
        raise InvalidValue(f"the {name} has control characters; none are allowed", field=name)


def told_line(least: int, most: int) -> msgspec.Meta:
    """Return what a description of a type says of such a text; decoding does not check it, `check_text` does."""
    return msgspec.Meta(extra_json_schema={"minLength": least, "maxLength": most, "pattern": NO_CONTROLS})


def told_number(least: int, most: int) -> msgspec.Meta:
    """Return what a description of a type says of a number that decoding does not check."""
    return msgspec.Meta(extra_json_schema={"minimum": least, "maximum": most})
