"""The numbers of bridges, and where a method runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from workers.settings import KINDS, check_count, check_seconds

if TYPE_CHECKING:
    from workers.settings import Kind


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where a method runs, by the bytes it works on: inline below the first bound, in a process from the second on."""

    thread_from_bytes: int = 0
    """Below this it runs on the loop: the work is shorter than a hop (and than a millisecond)."""
    process_from_bytes: float = float("inf")

    def kind_for(self, size_bytes: int) -> Kind:
        """Return the kind of worker for `size_bytes`."""
        if size_bytes >= self.process_from_bytes:
            return "process"
        return "inline" if size_bytes < self.thread_from_bytes else "thread"


@dataclass(frozen=True, kw_only=True, slots=True)
class BridgeSettings:
    """The numbers of the bridges opened together; each bridge has these bounds for itself.

    Raises:
        ValueError: A number makes no sense; the message names it and what is allowed.
    """

    kind: Kind | None = None
    """Run everything in this kind of worker, whatever the placements say."""
    worker_count: int | None = None
    """The most workers of a pool; None means half the cores, at least one."""
    max_pending_count: int = 100
    """Requests of one bridge that may be out at a time; the next one is refused."""
    max_waiting_bytes: int = 1024 * 1024 * 1024
    """Bytes that the requests at one pool may hold together."""
    timeout_s: float = 120.0
    """For requests of bridges that name none."""
    request_timeout_s: float = 30.0
    """For those of `Bridges.request` and of own services that name none."""
    drain_s: float = 5.0
    """What requests under way get when a bridge closes."""
    cancel_grace_s: float = 0.02
    """How long a method that was told to stop may go on before its worker is killed (a thread is left behind)."""
    redo_in_process: bool = True
    """Do a request again in this process when its worker died or did not answer."""
    custom_service: str | None = None
    """The own service, as `module:Class`, behind the channel `custom`."""
    service_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Options for the services, by the name of the bridge."""
    debug: bool = False
    """Log each request and each answer."""

    def __post_init__(self) -> None:
        if self.kind is not None and self.kind not in KINDS:
            raise ValueError(f"kind is {self.kind!r}; allowed are None, {', '.join(KINDS)}")
        for name in ("max_pending_count", "max_waiting_bytes"):
            check_count(name, getattr(self, name))
        if self.worker_count is not None:
            check_count("worker_count", self.worker_count)
        for name in ("timeout_s", "request_timeout_s", "drain_s", "cancel_grace_s"):
            check_seconds(name, getattr(self, name))
