"""Who is meant by a message: `<@ID>` in its text, and ids sent beside it. Pure.

Whether they are members of the space is tested by the statement that stores the message, which drops the others: who
left meanwhile is no reason to refuse what was written.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from chat.domain.refusals import LimitReached

if TYPE_CHECKING:
    from collections.abc import Iterable

_MENTION: Final = re.compile(r"<@([1-9][0-9]{0,14})>")


def mentioned(content: str, named: Iterable[int], *, most: int) -> str | None:
    """Return the ids of who is meant as a JSON list of numbers, None for nobody.

    Raises:
        LimitReached: They are too many.
    """
    ids = dict.fromkeys(named)
    if "<@" in content:
        ids |= dict.fromkeys(int(each) for each in _MENTION.findall(content))
    if len(ids) > most:
        raise LimitReached(f"a message may mention {most} users", limit=most)
    return msgspec.json.encode(list(ids)).decode() if ids else None
