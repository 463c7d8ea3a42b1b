"""Somebody else changed a space's settings meanwhile: what is left of an update. Pure.

As with the user's own settings (`merge`): a field that was changed on one side only is as that side has it; one that was
changed on both is as the later change has it, and the other is told as a conflict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from chat.sync.document import same
from chat.sync.merge import FieldConflict

if TYPE_CHECKING:
    from collections.abc import Mapping


class SpaceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of a space as the server has them."""

    version: int
    settings: dict[str, Any]
    updated_at_ms: int
    """When they were changed last, by the server's clock."""


class Rest(NamedTuple):
    """What is left of an update."""

    fields: dict[str, Any]
    conflicts: tuple[FieldConflict, ...]


def rest_of(fields: Mapping[str, Any], base: Mapping[str, Any], theirs: SpaceSettings, *, at_ms: int) -> Rest:
    """Return what of an update made at `at_ms`, of fields that were `base` then, still has to be done.

    The server tells when the settings were changed, not when each of them was: a field that was changed on both sides
    counts as changed there at that time.
    """
    left: dict[str, Any] = {}
    conflicts: list[FieldConflict] = []
    for name, mine in fields.items():
        there = theirs.settings.get(name)
        if same(mine, there):
            continue
        if same(there, base.get(name)):
            left[name] = mine
            continue
        was_mine = theirs.updated_at_ms > at_ms
        kept, lost = (there, mine) if was_mine else (mine, there)
        conflicts.append(
            FieldConflict(
                name=name,
                kept=kept,
                lost=lost,
                lost_at_ms=at_ms if was_mine else theirs.updated_at_ms,
                was_mine=was_mine,
            )
        )
        if not was_mine:
            left[name] = mine
    return Rest(left, tuple(conflicts))
