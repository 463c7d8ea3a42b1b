"""What several pending actions about one thing become. Pure.

The law: the server ends in the same state as if every action had been delivered. `test_coalescing` checks it against a
server of its own, from any state the server may have been in.

An action that was ever handed to a handler may be known to the server by its client id, so its payload is never changed
again, and it is never taken back unseen; a newer one may take its place. An action under a claim is not looked at here
at all. "On, then off" is nothing only where the first sender saw that it was off (`was`), and no other action about it
was under way; otherwise the last one wins. Where actions about other things stand in the same lane, those of a type
that does not commute with them (`coalesces_across`) are left alone beyond the last of them.

The action that stays keeps its place; the one that goes ends as cancelled, `carried_by` the one that stays, and who
waits for it waits for that one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from chat.queue.payloads import DeleteMessage, EditMessage, SendMessage, UpdateSpace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chat.queue.action_type import ActionType


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """An action that waits and is under no claim."""

    id: int
    client_id: str
    type: str
    lane_key: str = ""
    payload: Any
    was_called: bool = False
    revision: int = 0
    needs_others: bool = False
    """It waits for other actions than the one it is about."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done instead of merely storing the new action."""

    carrier: Pending | None = None
    """The pending action that takes the new one up."""
    payload: Any = None
    """What that carries from now on; or, without a carrier, what the new one carries."""
    replaced: tuple[Pending, ...] = ()
    """Pending actions whose effect the new one (or the carrier) has."""
    annihilated: tuple[Pending, ...] = ()
    """Pending actions that come to nothing, together with the new one if `is_nothing`."""
    is_nothing: bool = False
    """The new action has nothing left to do: it counts as done."""


def plan(
    kind: ActionType, payload: Any, pending: Sequence[Pending], *, is_another_open: bool = False
) -> Plan:
    """Return what becomes of a new action of `kind` and of the `pending` ones about the same thing, oldest first.

    `is_another_open`: there are others about it, under a claim or of unknown outcome.
    """
    if kind.coalescing == "edit":
        return _edit(payload, pending)
    if kind.coalescing == "delete":
        return _delete(payload, pending)
    if kind.coalescing == "toggle":
        return _toggle(kind, payload, pending, is_another_open)
    if kind.coalescing == "fields":
        return _fields(payload, pending)
    if kind.coalescing == "replace":
        return _taking_over(payload, pending)
    return Plan(payload=payload)


def _edit(new: EditMessage, pending: Sequence[Pending]) -> Plan:
    edits = [each for each in pending if isinstance(each.payload, EditMessage)]
    for each in pending:
        message = each.payload
        if isinstance(message, SendMessage) and each.client_id == new.message_id and not each.was_called:
            return Plan(carrier=each, payload=replace(message, content=new.content), replaced=tuple(edits))
    return _taking_over(new, edits)


def _delete(new: DeleteMessage, pending: Sequence[Pending]) -> Plan:
    about = [each for each in pending if not isinstance(each.payload, (SendMessage, DeleteMessage))]
    earlier = [each for each in pending if isinstance(each.payload, DeleteMessage)]
    for each in pending:
        if isinstance(each.payload, SendMessage) and each.client_id == new.message_id and not each.was_called:
            return Plan(payload=new, annihilated=(each, *about, *earlier), is_nothing=True)
    if earlier:
        return Plan(carrier=earlier[0], payload=earlier[0].payload, annihilated=tuple(about))
    return Plan(payload=new, annihilated=tuple(about))


def _toggle(kind: ActionType, new: Any, pending: Sequence[Pending], is_another_open: bool) -> Plan:
    if not pending:
        return Plan(payload=replace(new, was=None) if is_another_open else new)
    first = pending[0]
    is_on = new.is_on if kind.is_on is None else kind.is_on
    untouched = not any(each.was_called for each in pending)
    if untouched and first.payload.was is not None and first.payload.was == is_on:
        return Plan(payload=new, annihilated=tuple(pending), is_nothing=True)
    was = first.payload.was if untouched else None
    return Plan(payload=replace(new, was=was), replaced=tuple(pending))


def _fields(new: Any, pending: Sequence[Pending]) -> Plan:
    merged: dict[str, Any] = {}
    for each in pending:
        merged.update(each.payload.fields)
    merged.update(new.fields)
    versions = [each.payload.base_version for each in pending] + [new.base_version]
    base = next((version for version in versions if version is not None), None)
    together = replace(new, fields=merged, base_version=base)
    if isinstance(new, UpdateSpace):
        together = replace(together, base=_seen_first([*(each.payload for each in pending), new]))
    return _taking_over(together, pending)


def _seen_first(updates: Sequence[UpdateSpace]) -> dict[str, Any] | None:
    """Return what each field was when it was first changed; None if one of the updates does not say."""
    seen: dict[str, Any] = {}
    for each in updates:
        if each.base is None:
            return None
        seen = {**each.base, **seen}
    return seen


def _taking_over(payload: Any, pending: Sequence[Pending]) -> Plan:
    """Let the oldest one that the server can't know carry `payload`; without such a one, the new action does."""
    for place, each in enumerate(pending):
        if not each.was_called:
            others = (*pending[:place], *pending[place + 1 :])
            return Plan(carrier=each, payload=payload, replaced=others)
    return Plan(payload=payload, replaced=tuple(pending))
