"""Services with typed methods: what a bridge runs, and what a user's own service is made of.

Parameters and results are MessagePack checked against the method's annotations by msgspec: parameters in the worker,
results where they arrive, in every kind of worker alike. They are encoded once, by the caller, so no kind is more
lenient than another. Bulk bytes go beside them as buffers; in the same process those are not even copied.
"""

from __future__ import annotations

import time
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from workers.body import Body, Outcome
from workers.buffers import MAX_COUNT, Output
from workers.errors import InvalidParameters, TaskCancelled, UnknownMethod
from workers.protocol import Progress

if TYPE_CHECKING:
    from workers.service import Call

F = TypeVar("F", bound=Callable[..., Any])

PROGRESS_PERIOD_S = 0.05
"""A worker reports at most this often, whatever its tasks do; the end of what was once reported goes out at once."""

_MARK = "_worker_method"


class Envelope(msgspec.Struct, array_like=True):
    """What a typed method is sent as: the `params` of its `Call`."""

    params: bytes
    buffers: list[Any]
    """Bytes-like objects; on the way to a process, the length of each that goes as a file."""
    wants_progress: bool = False


class Reporter:
    """The one way out for the progress of a worker's tasks, which bounds how much of it there is."""

    __slots__ = ("next_at", "send")

    def __init__(self, send: Callable[[Progress], None]) -> None:
        self.send = send
        self.next_at = 0.0


class Task:
    """What a method gets beside its parameters; valid while the method runs."""

    __slots__ = ("_deadline", "_is_shown", "_makes_files", "_reporter", "_seq", "_stopped", "buffers")

    def __init__(
        self,
        buffers: Sequence[memoryview] = (),
        *,
        deadline: float = 0.0,
        seq: int = 0,
        reporter: Reporter | None = None,
        makes_files: bool = False,
    ) -> None:
        self.buffers: Sequence[memoryview] = buffers
        """Read-only input, in the order in which the caller gave it."""
        self._deadline = deadline
        self._seq = seq
        self._reporter = reporter
        self._is_shown = False
        self._stopped = False
        self._makes_files = makes_files

    def progress(self, done: int, total: int | None = None, note: str = "") -> None:
        """Tell whoever waits how far it is; most calls are dropped (see `PROGRESS_PERIOD_S`), which is cheap."""
        reporter = self._reporter
        if reporter is None:
            return
        now = time.monotonic()
        if now < reporter.next_at and not (self._is_shown and done == total):
            return
        reporter.next_at = now + PROGRESS_PERIOD_S
        self._is_shown = done != total
        reporter.send(Progress(self._seq, done, total, note))

    def check(self) -> None:
        """Return if the work is still wanted; to be called every few milliseconds of work.

        Raises:
            TaskCancelled: It was cancelled, or its deadline passed; let it through.
        """
        if self._stopped:
            raise TaskCancelled("cancelled while it ran")
        if self._deadline and time.monotonic() > self._deadline:
            raise TaskCancelled("the deadline passed while it ran")

    def allocate(self, size_bytes: int) -> Output:
        """Return an output buffer to be filled through its `view`; returned as output, it is not copied any more.

        Raises:
            OSError: No memory is to be had.
        """
        return Output(size_bytes, as_file=self._makes_files)

    def stop(self) -> None:
        """Make every `check` from now on raise; any thread may call this."""
        self._stopped = True


def method(*, idempotent: bool = True) -> Callable[[F], F]:
    """Mark a method of a `MethodService` as one that callers may name.

    It is called with its parameters (of the annotated type, mostly a frozen msgspec Struct) and a `Task`, and returns
    what it is annotated to, or a tuple of that and a sequence of output buffers (`bytes`, `bytearray`, `memoryview`,
    `Body`, or what `Task.allocate` gave), at most 64. An `idempotent` one may be run again when its worker died.
    """

    def mark(function: F) -> F:
        setattr(function, _MARK, idempotent)
        return function

    return mark


class MethodService:
    """A service whose methods are typed; subclass it and mark methods with `@method()`.

    It is built once in each worker, as `Class(options)`, and runs one method at a time on the worker's thread. Types
    in annotations must be importable where the service is (not only while type checking).
    """

    _marked: ClassVar[dict[str, Callable[..., Any]]] = {}
    _task: Task | None = None
    _reporter: Reporter | None = None
    _makes_files = False

    def __init__(self, options: dict[str, Any]) -> None:
        """Keep `options`: what MessagePack carries, and `worker_kind`."""
        self.options = options

    def __init_subclass__(cls, **kwargs: Any) -> None:  # type: ignore[explicit-override]  # a worker should not import typing_extensions for that
        super().__init_subclass__(**kwargs)
        cls._marked = {
            name: function
            for kind in reversed(cls.__mro__)
            for name, function in vars(kind).items()
            if hasattr(function, _MARK)
        }

    @classmethod
    def method_names(cls) -> dict[str, bool]:
        """Return the methods that callers may name, each with whether it is idempotent."""
        return {name: getattr(function, _MARK) for name, function in cls._marked.items()}

    def joined(self, send: Callable[[Progress], None], *, makes_files: bool) -> None:
        """Send the progress of tasks there from now on, and make outputs that can leave this process or not.

        Called by the worker before the first `run`.
        """
        self._reporter = Reporter(send)
        self._makes_files = makes_files

    def run(self, call: Call) -> Outcome:
        """Do `call`, whose params are an `Envelope`; see `Service`.

        Raises:
            UnknownMethod: There is none of this name.
            InvalidParameters: They are not what the method takes.
        """
        function = self._marked.get(call.method)
        if function is None:
            raise UnknownMethod(f"there is no method {call.method[:100]!r}")
        takes, gives_buffers = _signature(function)
        try:
            envelope = msgspec.convert(call.params, Envelope)
            params = takes.decode(envelope.params)
            buffers = [memoryview(each).toreadonly() for each in envelope.buffers]
        except (msgspec.MsgspecError, TypeError) as error:
            raise InvalidParameters(f"{call.method}: {error}") from None
        reporter = self._reporter if envelope.wants_progress else None
        self._task = task = Task(
            buffers, deadline=call.deadline, seq=call.seq, reporter=reporter, makes_files=self._makes_files
        )
        try:
            result = function(self, params, task)
        finally:
            self._task = None
        if not gives_buffers:
            return Outcome(_encoder.encode(result))
        value, outputs = result
        return Outcome(_encoder.encode(value), _bodies(outputs))

    def interrupt(self) -> None:
        """Make the task under way stop at its next `check`; see `Service`."""
        task = self._task
        if task is not None:
            task.stop()

    def close(self) -> None:
        """Release everything; see `Service`."""


_encoder = msgspec.msgpack.Encoder()
_signatures: dict[Callable[..., Any], tuple[msgspec.msgpack.Decoder[Any], bool]] = {}


def _signature(function: Callable[..., Any]) -> tuple[msgspec.msgpack.Decoder[Any], bool]:
    """Return the decoder of a method's parameters and whether buffers come beside its result."""
    known = _signatures.get(function)
    if known is None:
        names = {"Task": Task, "Sequence": Sequence, "Iterable": Iterable, "Any": Any, "Body": Body}
        hints = typing.get_type_hints(function, localns=names)
        first = next(name for name in hints if name not in {"return", "task"})
        known = (
            msgspec.msgpack.Decoder(hints[first]),
            typing.get_origin(hints["return"]) is tuple,
        )
        _signatures[function] = known
    return known


def _bodies(outputs: Iterable[Any]) -> list[Body]:
    bodies = [each if isinstance(each, Body) else Body((_bytes(each),)) for each in outputs]
    if len(bodies) > MAX_COUNT:
        raise ValueError(f"{len(bodies)} output buffers; at most {MAX_COUNT} are allowed")
    return bodies


def _bytes(output: Any) -> bytes | memoryview:
    return output if isinstance(output, bytes) else memoryview(output).cast("B")
