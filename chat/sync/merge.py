"""Two devices changed the settings meanwhile: what they become. Pure.

Field by field, against what both began with: changed on one side only, that side has it; changed on both, the later
change has it, and the other is told as a conflict, so that nothing goes without a word. Both sides come to the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from chat.sync.document import SettingsDocument, same

if TYPE_CHECKING:
    from chat.sync.document import SettingsField

_encode = msgspec.json.Encoder(order="deterministic").encode


class FieldConflict(msgspec.Struct, frozen=True, kw_only=True):
    """A field that was changed on both sides."""

    name: str
    kept: Any
    lost: Any
    """What the other side had; None where it had taken the field away."""
    lost_at_ms: int
    was_mine: bool
    """What was lost is this device's."""


class Merged(NamedTuple):
    """What the settings become."""

    document: SettingsDocument
    conflicts: tuple[FieldConflict, ...]


def merged(base: SettingsDocument, mine: SettingsDocument, theirs: SettingsDocument) -> Merged:
    """Return `mine` and `theirs` together, both having begun with `base`."""
    fields: dict[str, SettingsField] = {}
    conflicts: list[FieldConflict] = []
    for name in sorted({*base.fields, *mine.fields, *theirs.fields}):
        was, one, other = (side.fields.get(name) for side in (base, mine, theirs))
        if one is None or other is None:
            kept = one or other
        elif same(one.value, other.value):
            kept = max(one, other, key=lambda each: each.at_ms)
        elif was is not None and same(one.value, was.value) and one.at_ms == was.at_ms:
            kept = other
        elif was is not None and same(other.value, was.value) and other.at_ms == was.at_ms:
            kept = one
        else:
            kept, lost = (one, other) if _is_later(one, other) else (other, one)
            conflicts.append(
                FieldConflict(
                    name=name,
                    kept=kept.value,
                    lost=lost.value,
                    lost_at_ms=lost.at_ms,
                    was_mine=lost is one,
                )
            )
        if kept is not None:
            fields[name] = kept
    return Merged(SettingsDocument(fields=fields), tuple(conflicts))


def changes(base: SettingsDocument, mine: SettingsDocument) -> dict[str, Any]:
    """Return the values of `mine` that `base` has not."""
    return {
        name: field.value
        for name, field in mine.fields.items()
        if name not in base.fields or base.fields[name] != field
    }


def _is_later(one: SettingsField, other: SettingsField) -> bool:
    """Tell which change counts; of two at the same moment the same one for both sides."""
    return (one.at_ms, _encode(one.value)) > (other.at_ms, _encode(other.value))
