"""The rule for short texts that are shown on one line: names, topics, descriptions. Pure."""

from __future__ import annotations

from chat.domain.refusals import InvalidValue

MAX_NAME_CHARACTERS = 100
MAX_TOPIC_CHARACTERS = 1_000


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
