"""The numbers under which sends go out: 1, 2, 3 in each room within one session, in the order of first transmission.

They keep a send that a slow network delivers late from coming after those behind it. The queue delivers one message of
a room at a time, so whatever has a lower number than the one under way was answered, or will not come: its number is
given back as void when the server misses it. A message that is tried again keeps its number.
"""

from __future__ import annotations

import secrets
from typing import NamedTuple


class SendNumber(NamedTuple):
    """The place of a send within the session of its room."""

    session: str
    number: int


class Numbering:
    """The numbers given in this process."""

    def __init__(self) -> None:
        self._last: dict[str, tuple[SendNumber, str]] = {}

    def number(self, room_id: str, client_id: str) -> SendNumber:
        """Return the number of a message: the one it has, if it was the last one of its room, or the next."""
        last = self._last.get(room_id)
        if last is None:
            given = SendNumber(secrets.token_urlsafe(16), 1)
        elif last[1] == client_id:
            return last[0]
        else:
            given = SendNumber(last[0].session, last[0].number + 1)
        self._last[room_id] = (given, client_id)
        return given
