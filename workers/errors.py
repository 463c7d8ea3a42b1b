"""What can go wrong in a pool, and how an error crosses from a worker to its caller.

WorkersError
├── PoolSaturated        the bound is reached; nothing was queued; try again after `retry_after_s`
├── PoolClosed           the pool is closing or closed; this call did not run
├── ServiceUnavailable   no worker could build the service, or workers crash as fast as they start
├── WorkerDied           the worker of this call is gone; `begun` says whether the call may have had an effect
├── TaskTimedOut         the deadline passed; `begun` says whether the call may still have an effect
├── TaskCancelled        the call was taken back before it ran, or stopped while it did
└── TaskFailed           the service raised something it did not mean to raise; details are in the log
PortableError            the root of what services raise on purpose; the caller gets the same type
├── UnknownMethod        the service has no method of this name
├── InvalidParameters    a typed method was given something else than it takes
└── InvalidResult        a typed method gave something else than its caller expects
"""

from __future__ import annotations

from typing import Any


class WorkersError(Exception):
    """The root of the errors a pool raises by itself."""


class PoolSaturated(WorkersError):
    """The pool's bound is reached and nothing was queued; call again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float, reason: str) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.reason = reason


class PoolClosed(WorkersError):
    """The pool is closing or closed, and the call did not run; open another pool."""


class ServiceUnavailable(WorkersError):
    """No worker runs the service: it cannot be built, or workers die as fast as they start; read the log."""


class WorkerDied(WorkersError):
    """The worker is gone: a call that had not `begun` is safe to repeat, one that had may have taken effect."""

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun


class TaskTimedOut(WorkersError):
    """The deadline passed: not `begun` means no effect, `begun` means that a write may still have happened."""

    def __init__(self, message: str, *, begun: bool) -> None:
        super().__init__(message)
        self.begun = begun


class TaskCancelled(WorkersError):
    """The call was taken back before it ran, and had no effect; or it stopped midway, since it was told to."""


class TaskFailed(WorkersError):
    """The service raised an unexpected error; its text and traceback are in the log, not here."""


class PortableError(Exception):
    """The root of errors that a service raises on purpose and that reach the caller as the same type.

    A subclass is built as `Class(message, **details)`; `details` holds what MessagePack carries. In a process
    pool the parent makes the error anew from its class name, so the class must be imported there too.
    """

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class UnknownMethod(PortableError):
    """The service has no method of this name; see its class for those it has."""


class InvalidParameters(PortableError):
    """A typed method was given something else than it takes; nothing ran."""


class InvalidResult(PortableError):
    """A typed method gave something else than its caller expects: the two are not of one version."""


def portable_name(kind: type[PortableError]) -> str:
    """Return the name under which `restored` finds `kind`."""
    return f"{kind.__module__}:{kind.__qualname__}"


def restored(name: str, message: str, details: dict[str, Any]) -> Exception:
    """Return the error that a worker described by `name`, `message` and `details`.

    A name that no imported subclass of `PortableError` bears gives `TaskFailed`: a worker can name a class, but
    it can't make the parent import one.
    """
    kinds = [PortableError]
    while kinds:
        kind = kinds.pop()
        if portable_name(kind) == name:
            try:
                return kind(message, **details)
            except TypeError:  # a class of another version
                return TaskFailed(message)
        kinds += kind.__subclasses__()
    return TaskFailed(message)
