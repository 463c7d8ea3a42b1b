"""The requests of one bridge that are out: their bound, their ids, how to abort them, and what is counted."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import anyio

from workers.errors import PoolSaturated, TaskCancelled
from workers.statistics import Histogram

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from workers.statistics import Durations, PoolStatistics

MIN_RETRY_AFTER_S = 0.01
MAX_METHODS_COUNT = 200
OTHER_METHODS = "(others)"
"""What all methods beyond `MAX_METHODS_COUNT` are counted as: their names may be whatever a stranger sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PendingRequest:
    """A request that is out."""

    id: str
    method: str
    age_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeStatistics:
    """A bridge as it stood; counts are since it was made, without what was done at once, being shorter than a hop."""

    name: str
    pending_count: int
    oldest_age_s: float
    """How long the oldest pending request has been out; 0.0 when there is none."""
    completed_count: int
    failed_count: int
    aborted_count: int
    """Requests that were aborted, or whose callers were cancelled."""
    refused_count: int
    retried_count: int
    """Tries after the first on workers."""
    redone_count: int
    """Requests done again in this process because their worker failed."""
    methods: Mapping[str, Durations]
    """From the request to its end, by method."""
    pools: tuple[PoolStatistics, ...]


class Entry:
    """One request while it is out."""

    __slots__ = ("began", "id", "method", "scope")

    def __init__(self, request_id: str, method: str, scope: anyio.CancelScope) -> None:
        self.id = request_id
        self.method = method
        self.scope = scope
        self.began = time.monotonic()


class RequestBook:
    """Knows every request of a bridge from its start to its end."""

    def __init__(self, name: str, max_pending_count: int) -> None:
        self._name = name
        self._max_pending_count = max_pending_count
        self._entries: dict[str, Entry] = {}
        self._numbers = count(1)
        self._methods: dict[str, Histogram] = {}
        self.completed_count = 0
        self.failed_count = 0
        self.aborted_count = 0
        self.refused_count = 0
        self.retried_count = 0
        self.redone_count = 0

    @contextmanager
    def entered(
        self, method: str, request_id: str | None, scope: anyio.CancelScope | None
    ) -> Iterator[Entry]:
        """Have a request in the book while the block runs; cancelling its scope ends it and nothing else.

        Raises:
            PoolSaturated: As many as may be are out.
            TaskCancelled: It was aborted.
            ValueError: A request of this id is out.
        """
        if len(self._entries) >= self._max_pending_count:
            self.refused_count += 1
            raise PoolSaturated(
                f"{len(self._entries)} requests of {self._name} are out, which is the most that may be",
                retry_after_s=self._retry_after_s(),
                reason="pending_full",
            )
        number = request_id or f"{self._name}-{next(self._numbers)}"
        if number in self._entries:
            raise ValueError(f"a request with the id {number!r} is out")
        entry = self._entries[number] = Entry(number, method, scope or anyio.CancelScope())
        try:
            with entry.scope:
                yield entry
        except Exception:
            self.failed_count += 1
            raise
        except BaseException:
            self.aborted_count += 1
            raise
        finally:
            del self._entries[number]
            elapsed_us = int((time.monotonic() - entry.began) * 1e6)
            self._histogram_of(method).add(elapsed_us)
        if entry.scope.cancelled_caught:
            self.aborted_count += 1
            raise TaskCancelled(f"the request {number} was aborted")
        self.completed_count += 1

    def pending(self) -> tuple[PendingRequest, ...]:
        """Return what is out, the oldest first."""
        now = time.monotonic()
        return tuple(
            PendingRequest(id=each.id, method=each.method, age_s=now - each.began)
            for each in self._entries.values()
        )

    def abort(self, request_id: str) -> bool:
        """End a request with `TaskCancelled` for its caller; False if none of this id is out."""
        entry = self._entries.get(request_id)
        if entry is None:
            return False
        entry.scope.cancel()
        return True

    def abort_all(self) -> int:
        """End all requests that are out, and return how many there were."""
        for entry in self._entries.values():
            entry.scope.cancel()
        return len(self._entries)

    def statistics(self, pools: tuple[PoolStatistics, ...]) -> BridgeStatistics:
        """Return what was counted."""
        oldest = next(iter(self._entries.values()), None)
        return BridgeStatistics(
            name=self._name,
            pending_count=len(self._entries),
            oldest_age_s=0.0 if oldest is None else time.monotonic() - oldest.began,
            completed_count=self.completed_count,
            failed_count=self.failed_count,
            aborted_count=self.aborted_count,
            refused_count=self.refused_count,
            retried_count=self.retried_count,
            redone_count=self.redone_count,
            methods={name: each.frozen() for name, each in self._methods.items()},
            pools=pools,
        )

    def _histogram_of(self, method: str) -> Histogram:
        if method not in self._methods and len(self._methods) >= MAX_METHODS_COUNT:
            method = OTHER_METHODS
        return self._methods.setdefault(method, Histogram())

    def _retry_after_s(self) -> float:
        """Return how long the youngest has been out: by then one of the older ones should be back."""
        youngest = next(reversed(self._entries.values()))
        return max(MIN_RETRY_AFTER_S, time.monotonic() - youngest.began)
