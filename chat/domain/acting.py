"""How every action but a send is done: with its record, all or nothing, once for ever.

The record comes first and carries the user on to the changes, so a client id that was used stops all of it. The
changes test by themselves whether the user may; a change that touches no row stops the ones that need that row, and the
whole is undone. Only then is it asked why, which a success does not pay for. An action that finds the world as it
wants it (already pinned, already left) is written down and answered like one that changed it; but what stood against
it may just have gone, so it is tried once more before that is believed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chat.domain.ids import check_client_id
from chat.domain.refusals import ClientIdReused
from storage import ConstraintViolated, Earlier, NothingEarlier

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from chat.domain.paces import Paces
    from chat.domain.tables import Step, Tables
    from workers import Clock

USER: Final = Earlier(0, "user_id")
"""The acting user, in the parameters of changes: there is none if the client id was used."""

_HASH_BYTES: Final = 16
_encode = msgspec.json.Encoder(order="deterministic").encode


@dataclass(frozen=True, kw_only=True)
class Act:
    """What a user wants done."""

    user_id: int
    client_id: str
    kind: str
    payload: Any
    """What tells it from another action with the same client id; JSON can carry it."""
    changes: Sequence[Step]
    """The first of them stands at place 1 of the batch."""
    why: Callable[[], Awaitable[None]]
    """Called when nothing changed: raises what stands against it; returns if all is as it should be."""
    result: dict[str, Any] = field(default_factory=dict)
    notes: bool = False
    """Whether the changes add to the answer, by `note_id` and `note_number`."""


class Acting:
    """Does actions, each once."""

    def __init__(self, tables: Tables, clock: Clock, paces: Paces) -> None:
        self._tables = tables
        self._clock = clock
        self._paces = paces

    def now_ms(self) -> int:
        """Return the time, as rows have it."""
        return int(self._clock.now() * 1000)

    async def perform(self, act: Act) -> dict[str, Any]:
        """Do it, and return its answer; both are on disk then.

        Raises:
            ClientIdReused: The client id belongs to something else.
            TooOften: The user did too much in too short a time; nothing was done.
            ChatRefusal: What `why` raises; nothing was done.
            StorageError: As `Database.execute_batch`; asking for the client id tells whether it was done.
        """
        check_client_id(act.client_id)
        self._paces.take(act.user_id, act.kind)
        digest = payload_hash(act.kind, act.payload)
        result = {"client_id": act.client_id, **act.result}
        record: Step = (
            "record",
            (act.user_id, act.client_id, act.kind, digest, _encode(result).decode(), self.now_ms()),
        )
        for changes in (act.changes, act.changes, ()):
            try:
                written = await self._tables.write_all([record, *changes])
            except (ConstraintViolated, NothingEarlier) as error:
                found = await self.recorded(act.user_id, act.client_id, act.kind, digest)
                if found is not None:
                    return {**found, "duplicate": True}
                if isinstance(error, ConstraintViolated):
                    raise
                await act.why()
            else:
                if written[0].rows:
                    return await self._answer(act, result)
        raise ClientIdReused(f"the client id {act.client_id!r} is being used elsewhere", field="client_id")

    async def _answer(self, act: Act, result: dict[str, Any]) -> dict[str, Any]:
        noted = await self.answered(act.user_id, act.client_id) if act.notes else None
        return {**result, **({} if noted is None else noted["result"]), "duplicate": False}

    async def recorded(self, user_id: int, client_id: str, kind: str, digest: bytes) -> dict[str, Any] | None:
        """Return what this action was answered, None if it is new.

        Raises:
            ClientIdReused: The client id belongs to something else.
        """
        row = await self._tables.one("recorded", user_id, client_id)
        if row is None:
            return None
        if row[0] != kind or row[1] != digest:
            raise ClientIdReused(
                f"the client id {client_id!r} belongs to another {row[0]} of yours", field="client_id"
            )
        found: dict[str, Any] = msgspec.json.decode(row[2])
        return found

    async def answered(self, user_id: int, client_id: str) -> dict[str, Any] | None:
        """Return what the user's action of this client id was answered, None if it has never come."""
        row = await self._tables.one("recorded", user_id, client_id)
        return None if row is None else {"kind": row[0], "result": msgspec.json.decode(row[2])}


def told(stream: int | Earlier, kind: str, actor_id: int, now_ms: int, **body: Any) -> Step:
    """Return the change that puts an event into a stream."""
    text = _encode(body).decode() if body else None
    return ("tell", (stream, kind, actor_id, None, text, now_ms))


def payload_hash(kind: str, payload: Any) -> bytes:
    """Return what tells an action from another one with the same client id."""
    return blake2b(_encode([kind, payload]), digest_size=_HASH_BYTES).digest()
