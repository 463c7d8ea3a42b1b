"""How far a user has read each room. A marker only ever moves on; the user's other devices are told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chat.domain.refusals import NotFound
from storage import Earlier, NothingEarlier

if TYPE_CHECKING:
    from chat.domain.acting import Acting
    from chat.domain.rates import RateLimit
    from chat.domain.tables import Tables


class ReadMarkers:
    """Moves read markers."""

    def __init__(self, tables: Tables, acting: Acting, pace: RateLimit) -> None:
        self._tables = tables
        self._acting = acting
        self._pace = pace

    async def move(self, user_id: int, room_id: int, seq: int) -> dict[str, Any]:
        """Say that the user has read a room up to a seq; return how far they have. Doing it again is nothing.

        Raises:
            NotFound: There is no such room for this user.
            TooOften: The user moved too many in too short a time; the next one says all that this one would.
        """
        self._pace.take(user_id)
        now_ms = self._acting.now_ms()
        body = msgspec.json.encode({"room": str(room_id)}).decode()
        try:
            moved = await self._tables.write_all(
                [
                    ("mark_read", (user_id, room_id, seq)),
                    ("tell_read", (Earlier(0, "user_id"), body, now_ms, Earlier(0, "seq"))),
                ]
            )
        except NothingEarlier:
            standing = await self._tables.one("standing", room_id, user_id)
            if standing is None or standing[2] is None:
                raise NotFound(f"there is no room {room_id}", what="room") from None
            row = await self._tables.one("read_marker", user_id, room_id)
            reached = 0 if row is None else row[0]
        else:
            reached = moved[0].rows[0][1]
        return {"room_id": str(room_id), "seq": reached}
