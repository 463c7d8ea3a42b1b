"""Stores an action together with what it makes of those that wait: reads them, plans, and writes if nothing changed.

The plan is made here, outside of the database, since payloads may be sealed. So every row that it touches is named with
the revision it was read with, and one that was claimed, changed or finished meanwhile breaks the whole write off; then
it is planned again. Actions that may be coalesced therefore cost a read and a write each; messages are not among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chat.errors import InvalidAction
from chat.queue.coalescing import Pending, Plan, plan
from chat.queue.outbox import added, entering, why_not
from chat.queue.packing import Unreadable, context_of
from chat.queue.records import Added, NewAction
from storage import ConstraintViolated

if TYPE_CHECKING:
    from chat.queue.action_type import ActionType
    from chat.queue.clock import QueueClock
    from chat.queue.outbox import Outbox
    from chat.queue.packing import Packing
    from chat.queue.tables import Tables

_TRIES_COUNT = 6
"""Afterwards the action is stored by itself, as one that can't be merged is."""
_LONGEST_DEBOUNCES = 4
_NOTHING_LEFT = '{"coalesced":true}'


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a new action and of those that waited."""

    verdict: Added
    carried_by: str | None = None
    """The action that took it up."""
    is_nothing: bool = False
    """It counts as done."""
    ended: tuple[tuple[str, str | None], ...] = ()
    """The actions that were taken out, by client id, and what carries each."""


class Merger:
    """Stores actions of the types that may be coalesced."""

    def __init__(self, tables: Tables, outbox: Outbox, packing: Packing, clock: QueueClock) -> None:
        self._tables = tables
        self._outbox = outbox
        self._packing = packing
        self._clock = clock

    async def add(self, new: NewAction, payload: Any, *, limit: int) -> Merged:
        """Store `new`, whose payload is `payload`, or have another action carry it.

        Raises:
            StorageError: Nothing was stored, or nobody knows; doing it again does no harm.
        """
        kind = self._packing.types.named(new.type)
        for _ in range(_TRIES_COUNT):
            digests = await self._outbox.digests([new.client_id])
            if digests:
                return Merged(verdict=why_not(digests[new.client_id], new))
            pending, ages_ms, is_another_open = await self._pending(kind, new)
            made = plan(kind, payload, pending, is_another_open=is_another_open)
            try:
                if not _keeps_needs(new, made):
                    break
                await self._tables.write_all(self._writes(kind, new, made, ages_ms, limit))
            except ConstraintViolated:
                continue
            except InvalidAction:  # together they are too large
                break
            return _merged(new, made)
        alone = plan(kind, payload, (), is_another_open=True)
        (verdict,) = await self._outbox.add([self._changed(new, alone.payload)], limit=limit)
        return Merged(verdict=verdict)

    async def _pending(self, kind: ActionType, new: NewAction) -> tuple[list[Pending], dict[int, int], bool]:
        wants_all = kind.coalescing == "delete"
        target_id = new.target_id if kind.coalescing in {"edit", "delete"} else None
        rows = await self._tables.read(
            "pending_about", (new.subject, target_id, wants_all, kind.coalesces_across)
        )
        pending = []
        ages_ms = {}
        is_another_open = False
        for id_, client_id, name, version, was_called, revision, key_id, sealed, created_at_ms, *rest in rows:
            is_delayed, is_free, lane_key, needs_others = rest
            found = self._packing.types.find(name)
            try:
                if not is_free or found is None:
                    raise Unreadable("it is not to be touched", code="claimed")  # noqa: TRY301 - as if it were sealed
                context = context_of(client_id, name, lane_key)
                payload = self._packing.unpacked(found, version, key_id, sealed, context)
            except Unreadable:
                is_another_open = True
                continue
            pending.append(
                Pending(
                    id=id_,
                    client_id=client_id,
                    type=name,
                    lane_key=lane_key,
                    payload=payload,
                    was_called=bool(was_called),
                    revision=revision,
                    needs_others=bool(needs_others),
                )
            )
            if is_delayed:
                ages_ms[id_] = max(0, new.created_at_ms - created_at_ms)
        return pending, ages_ms, is_another_open

    def _writes(
        self, kind: ActionType, new: NewAction, made: Plan, ages_ms: dict[int, int], limit: int
    ) -> list[tuple[str, Any]]:
        at_ms = new.created_at_ms
        carrier = made.carrier
        named: list[tuple[str, Any]] = [("open_lane", (new.lane_key, new.topic, new.account, new.priority))]
        if carrier is not None:
            if carrier.payload == made.payload:
                named.append(("keep_as_is", (carrier.id, carrier.revision)))
            else:
                named.append(("recast", self._recast(kind, new, carrier, made.payload, ages_ms)))
            named.append(("expect_one_change", ()))
        keeper_id = carrier.client_id if carrier is not None else None if made.is_nothing else new.client_id
        gone = sorted((*made.replaced, *made.annihilated), key=lambda each: -each.id)
        for each in gone:  # the newest first: what needs another goes before that one takes it along
            carried_by = keeper_id if each in made.replaced else None
            named += [
                ("drop", (each.id, each.revision, carried_by, at_ms)),
                ("expect_one_change", ()),
                ("unblock_dropped", (each.id, new.packed_ms)),
            ]
        if carrier is not None:
            named.append(("add_finished", _finished(new, "cancelled", carrier.client_id, None)))
        elif made.is_nothing:
            named.append(("add_finished", _finished(new, "done", None, _NOTHING_LEFT)))
        else:
            named.append(("add_action", (*added(self._changed(new, made.payload)), limit)))
        named.append(("expect_one_change", ()))
        if carrier is None and not made.is_nothing and new.needs:
            named += entering(new)
        return named + [("move_needs", (each.id, keeper_id)) for each in made.replaced if keeper_id]

    def _recast(
        self, kind: ActionType, new: NewAction, carrier: Pending, payload: Any, ages_ms: dict[int, int]
    ) -> tuple[Any, ...]:
        key_id, sealed = self._packing.sealed(payload, carrier.client_id, carrier.lane_key)
        version = self._packing.types.of(payload).version
        due_ms = None
        if carrier.id in ages_ms:
            wanted_ms = 0 if new.due_ms is None else new.due_ms - new.packed_ms
            left_ms = int(1000 * kind.debounce_s * _LONGEST_DEBOUNCES) - ages_ms[carrier.id]
            due_ms = new.packed_ms + max(0, min(wanted_ms, left_ms))
        return carrier.id, carrier.revision, sealed, key_id, version, due_ms, new.created_at_ms

    def _changed(self, new: NewAction, payload: Any) -> NewAction:
        key_id, sealed = self._packing.sealed(payload, new.client_id, new.lane_key)
        return msgspec.structs.replace(new, payload=sealed, key_id=key_id)


def _keeps_needs(new: NewAction, made: Plan) -> bool:
    """Return whether nothing happens before what it needs, nor has to wait for what only another one needs."""
    if set(new.needs) - {new.target_id} and not made.is_nothing:
        return made.carrier is None and not made.replaced and not made.annihilated
    return not any(each.needs_others for each in made.replaced)


def _finished(new: NewAction, state: str, carried_by: str | None, result: str | None) -> tuple[Any, ...]:
    return (
        new.client_id,
        new.lane_key,
        new.type,
        new.version,
        state,
        carried_by,
        new.created_at_ms,
        new.digest,
        result,
    )


def _merged(new: NewAction, made: Plan) -> Merged:
    carried_by = made.carrier.client_id if made.carrier is not None else None
    keeper_id = carried_by or (None if made.is_nothing else new.client_id)
    ended = [(each.client_id, keeper_id) for each in made.replaced]
    ended += [(each.client_id, None) for each in made.annihilated]
    return Merged(verdict=Added.STORED, carried_by=carried_by, is_nothing=made.is_nothing, ended=tuple(ended))
