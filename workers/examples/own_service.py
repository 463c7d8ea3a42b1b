"""A service of one's own: typed methods, checked on both sides, in any kind of worker."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from workers import BridgeSettings, InvalidParameters, Kind, open_bridges
from workers.examples.services import Counted, Words

if TYPE_CHECKING:
    from workers.examples.stage import Stage

TEXT = "to be or not to be that is the question " * 1000


async def example(stage: Stage) -> None:
    """Count words inline, in a thread and in a process: the answer is the same."""
    kinds: tuple[Kind, ...] = get_args(Kind)
    for kind in kinds:
        async with open_bridges(BridgeSettings(kind=kind)) as bridges:
            service = bridges.service("workers.examples.services:WordService")
            with await service.request("count", Words(TEXT), Counted) as answer:
                stage.say(f"{kind}: 'be' is there {answer.value.words['be']} times")
            try:
                await service.request("count", Words(TEXT, longest=0), Counted)
            except InvalidParameters as error:
                stage.say(f"{kind}: {error}")
