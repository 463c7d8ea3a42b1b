"""Which requests share a transaction, and how a broken one is taken apart until the culprit is alone. Pure.

Requests that arrived together are written in one transaction and answered after its COMMIT. Order is kept within a
database; between databases there is none. What must not have company (DDL, bulk, maintenance) gets a section of its own.

When a transaction breaks, none of its requests has been answered, so all of them may run again: what stood before the
culprit, the culprit alone, what stood after it. An unknown culprit (the COMMIT itself failed) is found by halving.
A known culprit costs one replay of what stood before it: n requests with b known culprits run at most 2n statements in
2b + 1 transactions; unknown ones cost n * log2(n) statements. `parts` always returns smaller groups, so it ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

ALONE = 0
"""The weight of a request that takes no company."""


@dataclass(frozen=True, slots=True)
class Section:
    """Requests of one database that run one after the other, named by their place in the batch."""

    path: str
    members: tuple[int, ...]


def sections(requests: Iterable[tuple[str, int]], *, limit: int) -> list[Section]:
    """Return how `requests`, each a path and a weight in statements, are run: together where they may be.

    Neighbours of one database share a section while their weights add up to `limit` at most, whatever came between
    them for other databases; a request heavier than that, or of weight `ALONE`, has its own.
    """
    planned: list[list[int]] = []
    paths: list[str] = []
    open_sections: dict[str, list[int]] = {}
    room: dict[str, int] = {}
    for place, (path, weight) in enumerate(requests):
        if weight != ALONE and weight <= room.get(path, 0):
            room[path] -= weight
            open_sections[path].append(place)
            continue
        members = [place]
        planned.append(members)
        paths.append(path)
        open_sections[path] = members
        room[path] = 0 if weight == ALONE else limit - weight
    return [Section(path, tuple(members)) for path, members in zip(paths, planned, strict=True)]


def parts(group: Sequence[int], culprit: int | None) -> list[Sequence[int]]:
    """Return the groups to run, in order, instead of the broken `group` of at least two.

    `culprit` is the place in `group` of the request that broke it, None when nobody knows.
    """
    if culprit is None:
        middle = len(group) // 2
        pieces = [group[:middle], group[middle:]]
    else:
        pieces = [group[:culprit], group[culprit : culprit + 1], group[culprit + 1 :]]
    return [piece for piece in pieces if piece]
