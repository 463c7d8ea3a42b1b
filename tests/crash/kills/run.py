"""Loads one pool, kills its workers, and counts what became of the calls."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tests.crash.kills.subjects import Lost
from tests.crash.kills.work import RECORD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.kills.subjects import Subject

CALLERS_COUNT = 32
HANG_S = 20.0
"""A call that takes longer counts as one that never ends."""
MOST_CALLS_COUNT = 8_000_000
BULK_BYTES = 100_000


class Held(msgspec.Struct, frozen=True):
    """What this process holds."""

    files: int
    memory_files: int
    threads: int
    resident_mb: float


class Outcome(msgspec.Struct, kw_only=True):
    """What became of one run."""

    kills: int = 0
    answered: int = 0
    told_lost: int = 0
    """Calls whose caller was told that the worker died."""
    wrong: int = 0
    """Answers that are not their call's."""
    missing: int = 0
    """Numbers that were answered and never written."""
    doubled: int = 0
    """Numbers that were written more than once."""
    untrue: int = 0
    """Numbers that were written although their callers were told that they surely were not."""
    hung: int = 0
    rebuilt: int = 0
    seconds: float = 0.0
    before: Held | None = None
    after: Held | None = None
    note: str = ""


def held() -> Held:
    """Return what this process holds now."""
    gc.collect()
    links = []
    for entry in Path("/proc/self/fd").iterdir():
        try:
            links.append(os.readlink(entry))  # noqa: PTH115 - the target is no path
        except OSError:
            continue  # it was the folder's own
    status = dict(
        line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":" in line
    )
    return Held(
        files=len(links),
        memory_files=sum("memfd:" in link for link in links),
        threads=int(status["Threads"]),
        resident_mb=round(int(status["VmRSS"].split()[0]) / 1024, 1),
    )


async def run(
    subject: Subject, ledger: Path, *, kills: int, every_s: float, limit_s: float, seed: int
) -> Outcome:
    """Put `subject` under load and kill one of its workers every `every_s` seconds, `kills` times in all."""
    load = Load(subject)
    outcome = load.outcome
    chance = random.Random(seed)  # noqa: S311 - which worker dies is no secret
    await asyncio.to_thread(ledger.touch)
    await subject.open(str(ledger))
    loop = asyncio.get_running_loop()
    began = loop.time()
    callers = [asyncio.create_task(load.call_on()) for _ in range(CALLERS_COUNT)]
    while outcome.kills < kills and not load.over.is_set() and loop.time() - began < limit_s:
        await asyncio.sleep(every_s)
        await subject.kill_one(chance)
        outcome.kills += 1
        if outcome.kills == max(1, kills // 10):
            outcome.before = await asyncio.to_thread(held)
    load.over.set()
    await asyncio.wait(callers, timeout=2 * HANG_S)
    outcome.hung += sum(not caller.done() for caller in callers)
    outcome.seconds = round(loop.time() - began, 1)
    outcome.rebuilt = subject.rebuilt_count
    outcome.after = await asyncio.to_thread(held)
    if not outcome.hung:
        try:
            async with asyncio.timeout(HANG_S):
                await subject.close()
        except TimeoutError:
            outcome.note = "closing it hung"
    written = Counter(number for (number,) in RECORD.iter_unpack(await asyncio.to_thread(ledger.read_bytes)))
    del written[0]
    outcome.doubled = sum(count > 1 for count in written.values())
    outcome.untrue = sum(number in written for number in load.surely_not)
    outcome.missing = sum(number not in written for number in load.answers() if subject.writes(number))
    return outcome


class Load:
    """Many callers at once, and what they were told."""

    def __init__(self, subject: Subject) -> None:
        self.outcome = Outcome()
        self.over = asyncio.Event()
        self.answered = bytearray(MOST_CALLS_COUNT // 8)
        """A bit a number: a set would grow, and hide what the pool holds."""
        self.surely_not: set[int] = set()
        self._subject = subject
        self._numbers = itertools.count(1)

    def answers(self) -> Iterator[int]:
        """Yield the numbers that were answered."""
        for index, bits in enumerate(self.answered):
            for bit in range(8):
                if bits >> bit & 1:
                    yield 8 * index + bit

    async def call_on(self) -> None:
        """Call until it is over."""
        while not self.over.is_set():
            number = next(self._numbers)
            if number >= MOST_CALLS_COUNT:
                return
            data = number.to_bytes(8, "big") * (BULK_BYTES // 8) if number % 8 == 0 else b""
            try:
                async with asyncio.timeout(HANG_S):
                    answer = await self._subject.call(number, data)
            except Lost as error:
                self.outcome.told_lost += 1
                if not error.begun:
                    self.surely_not.add(number)
            except TimeoutError:
                self.outcome.hung += 1
                self.over.set()
            else:
                self.answered[number >> 3] |= 1 << (number & 7)
                self.outcome.answered += 1
                self.outcome.wrong += answer != (number * number, data)
