"""What a statement did, as its caller gets it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a statement did, now on disk."""

    changes: int
    """Rows inserted, changed and deleted by the statement itself, not by its triggers."""
    last_insert_rowid: int
    """Of the row it inserted; 0 without one."""
    columns: tuple[str, ...] = ()
    """Of what RETURNING gave."""
    rows: list[tuple[Any, ...]] = field(default_factory=list)
    ack: Literal["durable"] = "durable"


def written(
    changes: int, last_insert_rowid: int, columns: Sequence[str] = (), rows: Sequence[Sequence[Any]] = ()
) -> Written:
    """Return what the writer told."""
    return Written(
        changes=changes,
        last_insert_rowid=last_insert_rowid,
        columns=tuple(columns),
        rows=[tuple(row) for row in rows],
    )
