"""How a pool is sized and bounded."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["inline", "thread", "process"]
Lane = Literal["short", "scan", "maintenance"]
"""What a call is: quick, long, or nothing that anybody waits for; each has workers that the longer ones never get."""
Balance = Literal["least-busy", "round-robin"]
Priority = Literal["high", "normal", "low"]

PRIORITIES: tuple[Priority, ...] = ("high", "normal", "low")
KINDS: tuple[Kind, ...] = ("process", "thread", "inline")
"""In the order of the fallback chain."""


def default_worker_count() -> int:
    """Return half the cores this process may use, at least one."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)) // 2)
    return max(1, (os.cpu_count() or 1) // 2)


def check_count(name: str, value: object) -> None:
    """Refuse what is no number of things.

    Raises:
        ValueError: It is no whole number, or below 1; the message names it.
    """
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} is {value!r}; a whole number of at least 1 is allowed")


def check_seconds(name: str, value: float) -> None:
    """Refuse what nothing would end at.

    Raises:
        ValueError: It is not above 0, infinite or no number; the message names it.
    """
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value!r}; a finite number of seconds above 0 is allowed")


@dataclass(frozen=True, kw_only=True, slots=True)
class PoolSettings:
    """The numbers of one pool; every queue, wait and retry has one.

    Raises:
        ValueError: A number makes no sense; the message names it and what is allowed.
    """

    kind: Kind = "process"
    worker_count: int = field(default_factory=default_worker_count)
    """The most workers; the default is half the cores, at least one."""
    maintenance_count: int = 0
    """Workers beside those that do maintenance only: started when there is some, ended when idle; 0 makes it scans."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """How large a share of the workers a tenant has while others wait; 1 where none is given."""
    min_worker_count: int | None = None
    """Workers that are there even when idle; None means all. More are started when calls have to wait."""
    idle_after_s: float = 60.0
    """A worker beyond the minimum that had nothing to do for so long is ended."""
    spare_count: int = 0
    """Worker processes kept started in reserve, so that one that is killed is replaced at once."""
    recycle_after_count: int | None = None
    """Calls after which a worker is replaced by a new one; None means never."""
    recycle_above_bytes: int | None = None
    """Memory of a worker process beyond which it is replaced, as seen at pings; None means any."""
    ping_every_s: float = 10.0
    ping_limit_s: float = 30.0
    """A worker process that does not answer a ping for so long is killed."""
    balance: Balance = "least-busy"
    max_waiting_count: int = 1_000
    """How many calls of a lane may wait beside those that run; the next one gets `PoolSaturated`."""
    max_waiting_bytes: int = 64 * 1024 * 1024
    """How many bytes of parameters the calls of a pool may hold together."""
    window_count: int = 256
    """How many calls may be at one worker; the rest wait in the parent, where they can be cancelled or reordered."""
    request_window_count: int = 64
    """How many typed requests may be at one worker; what is there is not reordered by priority any more."""
    default_timeout_s: float = 30.0
    """The deadline of a call that names none; it covers waiting and running."""
    max_run_s: float = 300.0
    """The longest that any call or batch may run before its worker is stopped, whatever its deadline."""
    demote_after_s: float = 0.020
    """A short idempotent call that runs longer is interrupted and run again in the scan lane."""
    recall_after_s: float = 0.005
    """What waits at a worker behind a call that runs longer is taken back and given to others."""
    cancel_grace_s: float = 0.5
    """How long a call that was told to stop may go on before its process gets SIGTERM (a thread is abandoned)."""
    terminate_grace_s: float = 0.5
    """How long a process may take after SIGTERM before it gets SIGKILL."""
    settle_s: float = 5.0
    """How long a caller waits past the deadline for a worker to say whether a call had begun."""
    start_timeout_s: float = 20.0
    """How long a worker may take from its start to being ready."""
    max_restart_delay_s: float = 5.0
    """The cap of the doubling delay before a worker that died is replaced; the first replacement is at once."""
    max_restarts_count: int = 1_000
    """Restarts within `restart_window_s` after which the next one waits."""
    restart_window_s: float = 60.0
    breaker_count: int = 5
    """Workers that died one after the other without an answer before calls are refused."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; allowed are {', '.join(KINDS)}")
        if self.balance not in {"least-busy", "round-robin"}:
            raise ValueError(f"balance is {self.balance!r}; allowed are least-busy, round-robin")
        for name in (
            "worker_count",
            "max_waiting_count",
            "max_waiting_bytes",
            "window_count",
            "request_window_count",
            "breaker_count",
            "max_restarts_count",
        ):
            check_count(name, getattr(self, name))
        for name in (
            "default_timeout_s",
            "max_run_s",
            "demote_after_s",
            "recall_after_s",
            "cancel_grace_s",
            "terminate_grace_s",
            "settle_s",
            "start_timeout_s",
            "max_restart_delay_s",
            "restart_window_s",
            "idle_after_s",
            "ping_every_s",
            "ping_limit_s",
        ):
            check_seconds(name, getattr(self, name))
        for name in ("recycle_after_count", "recycle_above_bytes"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        if self.min_worker_count is not None and not 0 <= self.min_worker_count <= self.worker_count:
            raise ValueError(
                f"min_worker_count is {self.min_worker_count!r}; None or 0 to worker_count is allowed"
            )
        self._check_maintenance_and_weights()
        if not 0 <= self.spare_count <= self.worker_count:
            raise ValueError(f"spare_count is {self.spare_count!r}; 0 to worker_count is allowed")

    @property
    def awake_count(self) -> int:
        """The number of workers that are there even when idle."""
        return self.worker_count if self.min_worker_count is None else self.min_worker_count

    def _check_maintenance_and_weights(self) -> None:
        if self.maintenance_count < 0:
            raise ValueError(f"maintenance_count is {self.maintenance_count!r}; 0 or more is allowed")
        for tenant, weight in self.weights.items():
            if not 0 < weight < float("inf"):
                raise ValueError(
                    f"the weight of {tenant!r} is {weight!r}; a finite number above 0 is allowed"
                )
