"""Reads the server's metrics beside the load, every half second, from a thread of its own."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from loadtests.api import Api, ApiFailed
from loadtests.samples import Reading
from loadtests.server_metrics import Scrape, read_scrape, worst_lag_ms

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERY_S = 0.5
_ANSWER_WITHIN_S = 5.0
_JOIN_S = 10.0


class Watch:
    """A context manager; `readings` is complete when it is left."""

    def __init__(self, base_url: str, token: str) -> None:
        self.readings: list[Reading] = []
        self.pool = ""
        self.late_s = 0.0
        """The longest that this thread, which does next to nothing, was not let run: the machine stood still."""
        self._api = Api(base_url, token, timeout_s=_ANSWER_WITHIN_S)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        before: Scrape | None = None
        due_s = time.monotonic() + _EVERY_S
        while not self._over.wait(_EVERY_S):
            self.late_s = max(self.late_s, time.monotonic() - due_s)
            before = self._read(before)
            due_s = time.monotonic() + _EVERY_S

    def _read(self, before: Scrape | None) -> Scrape | None:
        begun_s = time.monotonic()
        try:
            scrape = scraped(lambda: self._api.ask("GET", "/metrics"))
        except ApiFailed:
            last = self.readings[-1].memory_bytes if self.readings else 0
            self.readings.append(Reading(at_s=begun_s, loop_lag_ms=None, memory_bytes=last, scrape_ms=None))
            return before
        self.pool = scrape.pool
        if before is not None:
            self.readings.append(
                Reading(
                    at_s=begun_s,
                    loop_lag_ms=worst_lag_ms(before, scrape),
                    memory_bytes=scrape.memory_bytes,
                    scrape_ms=(time.monotonic() - begun_s) * 1e3,
                )
            )
        return scrape


def scraped(ask: Callable[[], bytes]) -> Scrape:
    """Return what the server says of itself now.

    Raises:
        ApiFailed: It does not answer.
    """
    return read_scrape(ask().decode())
