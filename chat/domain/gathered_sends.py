"""Sends that come while others are being written: gathered, and stored together by one statement.

A send that comes alone is written at once, as before. Those that come while it is under way share the next request to
the writer; while that runs, more gather. So what a request to the writer costs, on both sides, is paid once for many,
and the full-text index, which writes out what it holds at the end of each statement, does so once. Each gets its own
outcome: the statement passes over those that may not be written, or were written before, and their senders ask alone.

The order of arrival is kept, but for the numbered sends of a session (`Order`): those go in the order of their numbers,
among their places. Of two with the same client id the second waits for the next statement, where it is a repetition.

Figures (2026-11-23, 2 cores beside a load of 9 to 13, CPU of all processes of a server, before and after in one run, with
what else changed that day on the way of a send): over HTTP 334 to 374 us and 242 to 268 with 64 connections, 302 to 308 and
209 to 212 with 256; over a WebSocket 158 to 202 and 81 to 125. Of that the writer's part: 77 to 100 and 33 to 57, 61 to 76
and 22 to 33. In SQLite alone, 64 messages in a transaction: 46 us each by statements of their own, 26 by one; without the
text index it is 19 either way. These are of one statement under way at a time. With two, the writer finds the
next one waiting when it has done the one before; the CPU rose by 10 to 15 % in two rounds beside a load of 14.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec

from storage import StorageError, StorageSaturated

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from chat.domain.tables import Step, Tables
    from chat.domain.turns import Turn, Turns
    from workers import Clock

MAX_TOGETHER_COUNT: Final = 128
MAX_TOGETHER_BYTES: Final = 1 << 20
"""Of content in one statement, which the writer's other callers wait for; one of any size goes by itself."""
MAX_UNDER_WAY_COUNT: Final = 2
"""Statements of those that gathered: one for the writer to begin at once when it has done the other."""
MAX_WAITING_COUNT: Final = 2_000
MAX_WAITING_BYTES: Final = 32 << 20

_RETRY_AFTER_S: Final = 0.05
_encode = msgspec.json.Encoder().encode

Rows = list[tuple[Any, ...]]
"""The id and the seq of what was stored; none if it was not."""


class Prepared(msgspec.Struct, eq=False):
    """A send that was checked, with what it is stored as."""

    room_id: int
    sender_id: int
    client_id: str
    digest: bytes
    content: str
    content_bytes: int
    reply_to: int | None
    mentions: str | None
    turn: Turn | None
    """Its place in its session, if it has one."""
    rows: Rows | None = None
    """What became of it together with others; None until that is known."""


class Together:
    """Sends that will be one statement."""

    __slots__ = ("content_bytes", "done", "error", "keys", "sends")

    def __init__(self) -> None:
        self.sends: list[Prepared] = []
        self.keys: set[tuple[int, str]] = set()
        self.content_bytes = 0
        self.done = anyio.Event()
        self.error: StorageError | None = None
        """Why none of them was stored, as far as is known."""

    def has_room_for(self, send: Prepared) -> bool:
        """Tell whether one more may join."""
        return (
            len(self.sends) < MAX_TOGETHER_COUNT
            and self.content_bytes + send.content_bytes <= MAX_TOGETHER_BYTES
            and (send.sender_id, send.client_id) not in self.keys
        )

    def add(self, send: Prepared) -> None:
        """Let one more join."""
        self.sends.append(send)
        self.keys.add((send.sender_id, send.client_id))
        self.content_bytes += send.content_bytes


class GatheredSends:
    """Who waits to be stored together; `run` has to run beside."""

    def __init__(
        self, tables: Tables, clock: Clock, turns: Turns, alone: Callable[[Prepared], Awaitable[Rows]]
    ) -> None:
        self._tables = tables
        self._clock = clock
        self._turns = turns
        self._alone = alone
        self._waiting: deque[Together] = deque()
        self._stirred = anyio.Event()
        self._under_way_count = 0
        self._waiting_count = 0
        self._waiting_bytes = 0
        self._is_closed = False

    async def stored(self, send: Prepared) -> Rows:
        """Store a send, alone or with others; no rows: it was not stored, and it is to be asked why.

        Cancelled, it is stored or not.

        Raises:
            StorageSaturated: Too many wait already; nothing was stored.
            StorageError: As `Tables.write`.
        """
        if self._is_closed or not (self._under_way_count or self._waiting):
            self._under_way_count += 1
            try:
                return await self._alone(send)
            finally:
                self._under_way_count -= 1
        together = self._place_for(send)
        await together.done.wait()
        error = together.error
        if error is not None:  # each gets its own: an exception that is raised belongs to one stack
            raise type(error)(str(error), **error.details) from error
        return send.rows or []

    async def run(self) -> None:
        """Store what gathers until it is closed."""
        async with anyio.create_task_group() as storing:
            for _ in range(MAX_UNDER_WAY_COUNT):
                storing.start_soon(self._run)

    async def _run(self) -> None:
        while not self._is_closed:
            await self._stirred.wait()
            if self._stirred.is_set():  # else another one took note of it
                self._stirred = anyio.Event()
            while self._waiting:
                together = self._waiting.popleft()
                self._waiting_count -= len(together.sends)
                self._waiting_bytes -= together.content_bytes
                self._under_way_count += 1
                try:
                    await self._store(together)
                except StorageError as error:
                    together.error = error
                finally:
                    self._under_way_count -= 1
                    together.done.set()

    def close(self) -> None:
        """Let `run` end once all is stored that waits."""
        self._is_closed = True
        self._stirred.set()

    def _place_for(self, send: Prepared) -> Together:
        if self._waiting_count >= MAX_WAITING_COUNT or self._waiting_bytes >= MAX_WAITING_BYTES:
            raise StorageSaturated(
                f"{self._waiting_count} sends wait already, which is the most that may",
                retry_after_s=_RETRY_AFTER_S,
            )
        if not self._waiting or not self._waiting[-1].has_room_for(send):
            self._waiting.append(Together())
            self._stirred.set()
        self._waiting[-1].add(send)
        self._waiting_count += 1
        self._waiting_bytes += send.content_bytes
        return self._waiting[-1]

    async def _store(self, together: Together) -> None:
        sends = in_turn(together.sends)
        now_ms = int(self._clock.now() * 1000)
        asked = _encode(
            [
                (
                    each.room_id, each.sender_id, each.client_id, each.digest.hex(), each.content,
                    each.reply_to, each.mentions, *(each.turn[::3] if each.turn is not None else ()),
                )
                for each in sends
            ]
        ).decode()  # fmt: skip
        steps: list[Step] = [("send_together", (asked, now_ms))]
        runs = runs_of(each.turn for each in sends if each.turn is not None)
        if runs:
            steps.insert(0, ("order_together", (_encode(runs).decode(), now_ms)))
        *ordered, sent = await self._tables.write_all(steps)
        for result in ordered:
            self._tell_turns(runs, result.rows)
        stored = {(sender_id, client_id): (row_id, seq) for row_id, seq, sender_id, client_id in sent.rows}
        for each in sends:
            row = stored.get((each.sender_id, each.client_id))
            each.rows = [] if row is None else [row]

    def _tell_turns(self, runs: Iterable[Run], reached: Rows) -> None:
        taken = {tuple(row) for row in reached}
        for session, room_id, user_id, first, last in runs:
            if (session, room_id, user_id) in taken:
                for number in range(first, last + 1):
                    self._turns.taken((session, room_id, user_id, number))


Run = tuple[str, int, int, int, int]
"""Session, room and user, and the first and the last of numbers without a hole."""


def in_turn(sends: Sequence[Prepared]) -> list[Prepared]:
    """Return `sends` with those of each session in the order of their numbers, at the places that they have."""
    places: dict[tuple[str, int, int], list[int]] = defaultdict(list)
    for place, each in enumerate(sends):
        if each.turn is not None:
            places[each.turn[:3]].append(place)
    found = list(sends)
    for of_session in places.values():
        ordered = sorted((sends[place] for place in of_session), key=_number)
        for place, each in zip(of_session, ordered, strict=True):
            found[place] = each
    return found


def runs_of(turns: Iterable[Turn]) -> list[Run]:
    """Return of each session the numbers that come one after the other, from the lowest to the first hole."""
    numbers: dict[tuple[str, int, int], set[int]] = defaultdict(set)
    for turn in turns:
        numbers[turn[:3]].add(turn[3])
    runs: list[Run] = []
    for (session, room_id, user_id), of_session in numbers.items():
        first = last = min(of_session)
        while last + 1 in of_session:
            last += 1
        runs.append((session, room_id, user_id, first, last))
    return runs


def _number(send: Prepared) -> int:
    return 0 if send.turn is None else send.turn[3]
