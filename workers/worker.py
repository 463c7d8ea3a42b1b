"""What a pool and the kinds of workers ask of each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workers.buffers import Attachments
    from workers.protocol import Progress, Reply
    from workers.settings import Kind, Lane
    from workers.slots import Slot


class Pending(msgspec.Struct, eq=False):
    """A call that was admitted and not answered yet."""

    future: Any
    method: str
    params: Any
    tail: bytes
    """The call encoded, all but its `seq`: what a process worker is sent, and what the bound of bytes counts."""
    lane: Lane
    key: Any
    fingerprint: Any
    submitted_at: float
    deadline: float
    idempotent: bool
    pinned: Slot | None
    tenant: str = ""
    """Whose it is: tenants share the workers by weight."""
    slot: Slot | None = None
    """Where it is; None while it waits in the parent."""
    seq: int = 0
    sends_count: int = 0
    cancel_sent_at: float = 0.0
    demoting: bool = False
    settling: bool = False
    """Its deadline passed, and the worker is asked whether it had begun."""
    priority: int = -1
    """Of a typed request: the index of its queue among those that wait; -1 for a plain call."""
    begin_by: float = 0.0
    """When it must have begun, in seconds of `time.monotonic`; 0.0 means any time before its deadline."""
    attachments: Attachments | None = None
    on_progress: Any = None
    """Takes what is done, the total and a note; None for a caller that does not look."""
    settled: bool = False
    """Its caller has an answer, or left."""
    released: bool = False
    """Its place is given back."""


class Worker(Protocol):
    """One worker as its pool sees it; all methods but `stop` return at once and run on the loop's thread."""

    @property
    def page(self) -> Sequence[int]:
        """What `protocol.FIRST` and its neighbours index; the worker writes it while it runs."""

    @property
    def is_batched(self) -> bool:
        """Whether its service takes batches."""

    def send(self, calls: Sequence[Pending]) -> None:
        """Hand `calls`, whose `seq` is set, to the worker."""

    def send_requests(self, calls: Sequence[Pending]) -> None:
        """As `send`, where some of `calls` are typed requests, which may have files and may want progress."""

    def cancel(self, seq: int) -> None:
        """Ask it to take back or interrupt `seq`."""

    def recall(self) -> None:
        """Ask for all calls that have not begun; they come through `Events.recalled`."""

    def ping(self) -> None:
        """Ask it to show that it is there, by `Events.ponged`."""

    def give_way(self) -> None:
        """Let others have the processor first where there is not enough of it; without effect on a thread."""

    def terminate(self) -> None:
        """Stop it now, politely; a thread is told to end after what it runs."""

    def kill(self) -> bool:
        """Stop it now; False where that can't be done (a thread), which then counts as abandoned."""

    async def stop(self, limit_s: float) -> None:
        """Let it finish what runs, close its service, and see it end within `limit_s` and the kill that follows."""


class Events(Protocol):
    """What a worker tells its pool, on the loop's thread."""

    def replied(self, replies: Sequence[Reply], file_of: Callable[[], int]) -> None:
        """Calls were answered; `file_of` gives the descriptor of each `LargeResponse`, in their order."""

    def recalled(self, seqs: Sequence[int]) -> None:
        """These calls come back unbegun."""

    def progressed(self, progress: Progress) -> None:
        """A call that runs told how far it is; one that was answered meanwhile is of no interest."""

    def ponged(self, resident_bytes: int) -> None:
        """The worker is there, and has so much memory (0 if that is not known, or not its own)."""

    def died(self, reason: str) -> None:
        """The worker is gone and nothing more will come of it."""


class Backend(Protocol):
    """A kind of worker."""

    @property
    def kind(self) -> Kind:
        """Its name."""

    async def start(self, index: int, events: Events) -> Worker:
        """Start a worker and wait until its service is built.

        Raises:
            OSError: This kind can't run here; another may.
            ServiceUnavailable: The service could not be built.
        """
