"""Names in archives: which of them would lead out of the folder they are unpacked to."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ENTRIES_COUNT = 10_000
_SHOWN_COUNT = 50
_SHOWN_CHARS = 200


def escapes(name: str) -> bool:
    """Say whether an entry of this name would be written outside the folder it is unpacked to."""
    if name.startswith(("/", "\\")) or name[1:2] == ":":
        return True
    depth = 0
    for part in name.replace("\\", "/").split("/"):
        depth += {"": 0, ".": 0, "..": -1}.get(part, 1)
        if depth < 0:
            return True
    return False


def shown(names: Iterable[str]) -> tuple[str, ...]:
    """Return the first of `names`, cut to what a caller needs to see."""
    return tuple(
        name[:_SHOWN_CHARS].encode("utf-8", "replace").decode() for name in islice(names, _SHOWN_COUNT)
    )
