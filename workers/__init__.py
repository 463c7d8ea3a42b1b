"""Bounded work off the event loop: pools of workers (inline, thread, process) that run a service.

The names below are loaded when first used (PEP 562), so that a worker process imports only what its service needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workers.body import Body as Body
    from workers.clock import Clock as Clock
    from workers.clock import SystemClock as SystemClock
    from workers.errors import PoolClosed as PoolClosed
    from workers.errors import PoolSaturated as PoolSaturated
    from workers.errors import PortableError as PortableError
    from workers.errors import ServiceUnavailable as ServiceUnavailable
    from workers.errors import TaskCancelled as TaskCancelled
    from workers.errors import TaskFailed as TaskFailed
    from workers.errors import TaskTimedOut as TaskTimedOut
    from workers.errors import WorkerDied as WorkerDied
    from workers.errors import WorkersError as WorkersError
    from workers.opening import open_pool as open_pool
    from workers.pool import Pool as Pool
    from workers.pool import Session as Session
    from workers.service import BatchService as BatchService
    from workers.service import Call as Call
    from workers.service import Service as Service
    from workers.settings import Kind as Kind
    from workers.settings import Lane as Lane
    from workers.settings import PoolSettings as PoolSettings
    from workers.statistics import PoolStatistics as PoolStatistics

_HOME = {
    "BatchService": "service",
    "Body": "body",
    "Call": "service",
    "Clock": "clock",
    "Kind": "settings",
    "Lane": "settings",
    "Pool": "pool",
    "PoolClosed": "errors",
    "PoolSaturated": "errors",
    "PoolSettings": "settings",
    "PoolStatistics": "statistics",
    "PortableError": "errors",
    "Service": "service",
    "ServiceUnavailable": "errors",
    "Session": "pool",
    "SystemClock": "clock",
    "TaskCancelled": "errors",
    "TaskFailed": "errors",
    "TaskTimedOut": "errors",
    "WorkerDied": "errors",
    "WorkersError": "errors",
    "open_pool": "opening",
}

__all__ = sorted(_HOME)  # noqa: PLE0605 - one list, of names and homes


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'workers' has no attribute {name!r}")
    value = getattr(import_module(f"workers.{_HOME[name]}"), name)
    globals()[name] = value
    return value
