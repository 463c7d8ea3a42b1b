"""Streams for those who follow them: where each stands, and what they missed; whatever their number, one question each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from chat.domain.tables import Tables


class StreamState(NamedTuple):
    """Where a stream stands."""

    stream_id: int
    epoch: str
    last_seq: int
    space_id: int
    """Of whose members it is seen; 0 for a user's own stream."""


class MissedEvent(NamedTuple):
    """An event that was committed before."""

    stream_id: int
    seq: int
    position: int
    json: str
    """As clients get it."""


class Streams:
    """Reads what followers ask for."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    async def states(self, user_id: int, stream_ids: Collection[int]) -> dict[int, StreamState]:
        """Return the states of those streams that there are and that the user may see."""
        rows = await self._tables.all("stream_states", _json(list(stream_ids)), user_id)
        return {row[0]: StreamState(*row) for row in rows}

    async def missed(self, user_id: int, after: Mapping[int, int], *, limit: int) -> list[MissedEvent]:
        """Return events after a seq of each stream, in the order of `after` and of their seqs; none that is not for the user."""
        rows = await self._tables.all("missed", _json(list(after.items())), user_id, limit)
        return [MissedEvent(*row) for row in rows]

    async def reached_at(self, stream_ids: Collection[int], position: int) -> dict[int, int]:
        """Return the last seq that each stream had when this position was the last one."""
        return dict(await self._tables.all("reached_at", _json(list(stream_ids)), position))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
