"""What a worker tells its pool, and whether it is listened to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from workers.dispatcher import Dispatcher
    from workers.protocol import Progress, Reply
    from workers.slots import Slot


class SlotEvents:
    """What one worker tells its pool; see `Events`. Only one that has a slot is listened to."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.slot: Slot | None = None
        self.has_died = False

    def replied(self, replies: Sequence[Reply], file_of: Callable[[], int]) -> None:
        """See `Events`."""
        if self.slot is not None:
            self._dispatcher.on_replies(self.slot, replies, file_of)

    def recalled(self, seqs: Sequence[int]) -> None:
        """See `Events`."""
        if self.slot is not None:
            self._dispatcher.on_recalled(self.slot, seqs)

    def progressed(self, progress: Progress) -> None:
        """See `Events`."""
        if self.slot is not None:
            self._dispatcher.on_progress(self.slot, progress)

    def ponged(self, resident_bytes: int) -> None:
        """See `Events`."""
        if self.slot is not None:
            self._dispatcher.on_pong(self.slot, resident_bytes)

    def died(self, reason: str) -> None:
        """See `Events`."""
        self.has_died = True
        if self.slot is not None:
            self._dispatcher.on_death(self.slot, reason)
