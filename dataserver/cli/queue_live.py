"""`dataserver queue FILE tail`: events as they happen; a live view on a terminal, JSON lines in a pipe."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import anyio
import click
import msgspec

from chat import ChatError, Event, QueueReader, Statistics
from dataserver.cli.output import is_terminal, write_json
from dataserver.cli.queue_files import QueueFile
from dataserver.cli.running import run_to_end

if TYPE_CHECKING:
    from rich.console import Group
    from rich.live import Live

_SHOWN_COUNT = 20
_COUNT_EVERY_S = 0.25
_COLUMNS = ("seq", "event", "type", "lane", "client_id", "attempts", "failure")


class _View(Protocol):
    async def show(self, event: Event, reader: QueueReader) -> None:
        """Show one more event."""


@click.command()
@click.option(
    "--after", type=int, help="Begin after the event of this number; by default with what comes now."
)
@click.option("--count", type=click.IntRange(min=1), help="End after so many events.")
@click.option("--type", "type_name", metavar="TYPE", help="Only events of actions of this type.")
@click.option("--key", "lane", metavar="LANE", help="Only events of this lane.")
@click.pass_obj
def tail(
    file: QueueFile, *, after: int | None, count: int | None, type_name: str | None, lane: str | None
) -> None:
    """Show what happens, until Ctrl-C; payloads are not shown."""

    def is_wanted(event: Event) -> bool:
        return type_name in {None, event.type} and lane in {None, event.lane}

    async def main() -> None:
        async with file.read() as reader:
            begin = await reader.newest_event() if after is None else after
            with _screen(await reader.statistics()) if is_terminal() else _lines() as view:
                shown_count = 0
                async for event in reader.follow_events(begin):
                    if is_wanted(event):
                        await view.show(event, reader)
                        shown_count += 1
                        if shown_count == count:
                            return

    with contextlib.suppress(KeyboardInterrupt):
        run_to_end(main, ChatError)


class _Lines:
    """Events as JSON lines."""

    async def show(self, event: Event, _: QueueReader) -> None:
        """See `_View`."""
        write_json(_facts(event))


class _Screen:
    """The last events, and how many actions there are."""

    def __init__(self, live: Live, counted: Statistics) -> None:
        self._live = live
        self._counted = counted
        self._counted_s = 0.0
        self._events: deque[dict[str, Any]] = deque(maxlen=_SHOWN_COUNT)

    async def show(self, event: Event, reader: QueueReader) -> None:
        """See `_View`."""
        now_s = anyio.current_time()
        if now_s - self._counted_s >= _COUNT_EVERY_S:
            self._counted, self._counted_s = await reader.statistics(), now_s
        self._events.append(_facts(event))
        self.draw()

    def draw(self) -> None:
        """Draw it anew."""
        self._live.update(self._drawn(), refresh=True)

    def _drawn(self) -> Group:
        from rich.console import Group  # noqa: PLC0415 - 70 ms that only a terminal pays
        from rich.table import Table  # noqa: PLC0415
        from rich.text import Text  # noqa: PLC0415

        counted = msgspec.structs.asdict(self._counted)
        table = Table()
        for name in _COLUMNS:
            table.add_column(name, no_wrap=name in {"seq", "event"}, overflow="fold")
        for facts in self._events:
            table.add_row(*(Text("" if facts[name] is None else str(facts[name])) for name in _COLUMNS))
        return Group(Text("   ".join(f"{name} {count:,}" for name, count in counted.items())), table)


@contextmanager
def _lines() -> Iterator[_View]:
    yield _Lines()


@contextmanager
def _screen(counted: Statistics) -> Iterator[_View]:
    from rich.live import Live  # noqa: PLC0415 - 70 ms that only a terminal pays

    with Live(auto_refresh=False) as live:
        screen = _Screen(live, counted)
        screen.draw()
        yield screen


def _facts(event: Event) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(event)
    del facts["payload"]
    failure = event.failure.text if event.failure else None
    return {"seq": event.seq, "event": event.name, **facts, "failure": failure}
