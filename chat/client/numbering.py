"""The numbers under which sends go out: 1, 2, 3 in each room within one session, in the order of first transmission.

They let several messages of a room be under way at once and still be stored in their order: the server keeps one that
came early waiting until those before it are there. A message keeps its number until it was answered. One that will not
come (it was taken back, or given up) would leave a gap that holds up those behind it, so the numbers then begin anew
under another session; whatever of the old session is still on its way stays behind its gap and can't overtake.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class SendNumber(NamedTuple):
    """The place of a send within the session of its room."""

    session: str
    number: int


class _Session:
    """The numbers of one room."""

    def __init__(self) -> None:
        self.name = secrets.token_urlsafe(16)
        self.last = 0
        self.open: dict[str, int] = {}
        """By client id, of what was not answered."""

    def goes_on_with(self, client_ids: Sequence[str]) -> bool:
        """Tell whether these, in their order, are what comes next: the first open ones, then new ones if those are all."""
        known = [each for each in client_ids if each in self.open]
        if list(client_ids[: len(known)]) != known or list(self.open)[: len(known)] != known:
            return False
        return len(known) == len(client_ids) or len(known) == len(self.open)

    def give(self, client_ids: Sequence[str]) -> None:
        """Number those that have no number."""
        for each in client_ids:
            if each not in self.open:
                self.last += 1
                self.open[each] = self.last


class Numbering:
    """The numbers given in this process."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Session] = {}

    def number(self, room_id: str, client_id: str, together: Sequence[str] = ()) -> SendNumber:
        """Return the number of a message: the one it has, or the next.

        Args:
            room_id: Where it goes.
            client_id: Which one it is.
            together: Those that are under way with it, in their order, its own among them; none if it goes alone.
        """
        client_ids = together or (client_id,)
        session = self._rooms.get(room_id)
        if session is None or not session.goes_on_with(client_ids):
            session = self._rooms[room_id] = _Session()
        session.give(client_ids)
        return SendNumber(session.name, session.open[client_id])

    def is_first(self, room_id: str, client_id: str) -> bool:
        """Tell whether nothing that was numbered before this message can still come."""
        session = self._rooms.get(room_id)
        return session is None or next(iter(session.open), client_id) == client_id

    def answered(self, room_id: str, client_id: str) -> None:
        """Take note that the server has taken a message's number."""
        session = self._rooms.get(room_id)
        if session is not None:
            session.open.pop(client_id, None)

    def begin_anew(self, room_id: str) -> None:
        """Number what goes to a room now under another session."""
        self._rooms.pop(room_id, None)
