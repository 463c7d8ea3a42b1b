"""How a queue is sized, bounded and paced; who reads the environment is up above."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from workers import KeySource

DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueSettings:
    """The numbers of one queue; what an action type says for itself wins over them.

    Raises:
        ValueError: A number makes no sense; the message names it and what is allowed.
    """

    max_waiting_count: int = 1_000
    """How many unfinished actions the queue holds; the next one is refused with `QueueFull`."""
    max_unwritten_count: int = 10_000
    """How many actions may be on their way to the disk; the next one is refused with `QueueFull`, as one is while these
    are 64 MiB."""
    concurrency: int = 4
    """How many actions are delivered at once by this process, each of another key; 1 is strictly one by one."""
    claim_count: int = 10
    """How many actions of one key are claimed together."""
    lease_s: float = 60.0
    """How long a claim holds without being renewed; it is renewed at half."""
    tick_s: float = 1.0
    """How often the queue looks for work that no wake-up announced."""
    call_timeout_s: float = 60.0
    """How long a handler may take for one action; afterwards its answer counts as lost."""
    stop_grace_s: float = 5.0
    """How long a queue that closes waits for the calls under way."""
    settle_s: float = 5.0
    """How long it then may take to write down what became of them; on a full disk it tries twice as long and gives up."""
    max_delay_s: float = 300.0
    """The cap of the doubling delay between tries."""
    max_retry_after_s: float = DAY_S
    """The longest that a server may ask a queue to wait."""
    first_knock_s: float = 1.0
    """After this long offline one action (or the probe) is tried; then after twice as long, and so on."""
    max_knock_s: float = 30.0
    ageing_s: float = 30.0
    """An action that has waited this long goes before a new one of the next higher priority."""
    handler_wait_s: float = DAY_S
    """How long an action waits for a handler of its type to be registered."""
    keep_done_s: float = DAY_S
    """How long actions that are done or cancelled are kept."""
    keep_failed_s: float = 7 * DAY_S
    """How long actions that failed or expired are kept."""
    max_finished_count: int = 100_000
    """How many finished actions are kept at most in each final state; the oldest go first."""
    max_event_count: int = 100_000
    """How many rows the event log keeps at most, whatever its slowest reader has seen."""
    prune_every_s: float = 60.0
    statistics_debounce_s: float = 0.5
    """At most one `queue.updated` in this time."""
    busy_timeout_s: float = 10.0
    """How long to wait for another process that writes the same file."""
    secure_delete: bool = True
    """What a payload took in the file is overwritten with zeros when it is wiped."""
    enqueue_patience_s: float = 30.0
    """How long an action waits to be stored while the disk is full or the file is busy; then whoever gave it is told."""
    key: KeySource | None = None
    """A random key with which the whole file is encrypted, what a seal leaves readable too; it needs the same build of apsw
    as encrypted databases. `dataserver rekey FILE` encrypts a file that is there."""

    def __post_init__(self) -> None:
        for name, least in _LEAST_COUNTS:
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; a whole number of at least {least} is allowed")
        for name in _SECONDS:
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise ValueError(f"{name} is {value!r}; a finite number of seconds above 0 is allowed")


_LEAST_COUNTS = (
    ("max_waiting_count", 1),
    ("max_unwritten_count", 1),
    ("concurrency", 1),
    ("claim_count", 1),
    ("max_finished_count", 0),
    ("max_event_count", 1),
)
_SECONDS = (
    "lease_s",
    "tick_s",
    "call_timeout_s",
    "stop_grace_s",
    "settle_s",
    "max_delay_s",
    "max_retry_after_s",
    "first_knock_s",
    "max_knock_s",
    "ageing_s",
    "handler_wait_s",
    "keep_done_s",
    "keep_failed_s",
    "prune_every_s",
    "statistics_debounce_s",
    "busy_timeout_s",
    "enqueue_patience_s",
)
