"""What runs inside a worker: a service, built there once, keeping its state (connections, compressors) between calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence


class Call(msgspec.Struct, array_like=True, gc=False):
    """One request as a worker sees it."""

    seq: int
    """Its number at this worker, rising in the order of arrival."""
    method: str
    params: Any
    """What MessagePack carries: None, bool, 64-bit int, float, str, bytes, lists and dicts of these."""
    deadline: float = 0.0
    """In seconds of `time.monotonic`, which all processes of a machine share; 0.0 means none."""


class Service(Protocol):
    """A class named to the pool as `module:Class` and built in each worker with the pool's options.

    All methods but `interrupt` run on the worker's own thread, one at a time.
    """

    def __init__(self, options: dict[str, Any]) -> None: ...

    def run(self, call: Call) -> Any:
        """Do `call` and return what MessagePack carries, or a `Body`.

        Raises:
            PortableError: Expected; the caller gets the same type. Anything else becomes `TaskFailed`.
        """

    def interrupt(self) -> None:
        """Make the `run` under way end early; called from another thread, and only while it is under way."""

    def close(self) -> None:
        """Release everything; called once, last, also after a failure."""


class BatchService(Protocol):
    """A service that takes all calls that have arrived as one batch (a group commit)."""

    def __init__(self, options: dict[str, Any]) -> None: ...

    def run_batch(self, calls: Sequence[Call]) -> list[Any]:
        """Do `calls` in order and return one outcome for each; an exception instance is that call's failure."""

    def tend(self) -> None:
        """Do what is due between batches; called after each, when its answers have left."""

    def interrupt(self) -> None:
        """Make the batch under way end early; called only for a batch of one."""

    def close(self) -> None:
        """Release everything; called once, last, also after a failure."""
