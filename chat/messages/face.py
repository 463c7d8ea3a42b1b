"""What a program sees of its messages, whatever store they wait in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from typing_extensions import override

from chat.messages.events import message_event, sent_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from chat.messages.events import MessageEvent, MessageSent
    from chat.queue.control import Cancelled
    from chat.queue.events import Followed
    from chat.queue.payloads import SendMessage


class MessageStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How many messages are not sent yet."""

    pending: int
    """They wait: for their turn, for another try, for a connection or a login."""
    sending: int
    """The server was called, and has not answered yet."""


class Promised(Protocol):
    """What a store knows of one message that it took."""

    async def durable(self) -> None:
        """See `MessageReceipt.durable`."""

    async def sent(self) -> Any:
        """Return the server's answer; raises as `MessageReceipt.sent`."""


class MessageReceipt:
    """A message that was taken; its `client_id` is known at once, and it can be waited for."""

    __slots__ = ("_promised", "_room_id", "client_id")

    def __init__(self, client_id: str, room_id: str, promised: Promised) -> None:
        self.client_id = client_id
        """What names the message everywhere."""
        self._room_id = room_id
        self._promised = promised

    @override
    def __str__(self) -> str:
        return self.client_id

    async def durable(self) -> None:
        """Return when the message is as safe as its store makes it; cancelled, it is sent none the less.

        In a durable store it is on the disk then, in memory it is at once; sent directly, it is at the server.

        Raises:
            QueueFull: Nothing was stored; try again when some messages are sent.
            ClientIdConflict: The draft id belongs to another message; nothing was stored.
            QueueClosed: The queue closed before anybody knew that it was stored.
            StorageError: The disk failed; nothing was stored, or (`WriteOutcomeUnknown`) nobody knows. Sending it again
                with the same draft id is safe.
            ActionFailed: It was sent directly, and that failed.
        """
        await self._promised.durable()

    async def sent(self) -> MessageSent:
        """Return what the server made of the message.

        Raises:
            ActionFailed: It was given up; `failure` says why, and `retry` tries it again.
            ActionExpired: Its room is gone.
            ActionCancelled: It was taken back.
            QueueClosed: The queue closed first; a durable one still has the message.
            ChatError: As `durable`.
        """
        return sent_of(self.client_id, self._room_id, await self._promised.sent())


class FollowedMessages:
    """An endless sequence of events about messages, in order; it may be left at any time."""

    def __init__(self, followed: Followed, account: str, known: Callable[[str], SendMessage | None]) -> None:
        self._followed = followed
        self._account = account
        self._known = known

    @property
    def cursor(self) -> int:
        """From where to follow again without missing anything: all up to the event that was given last is seen."""
        return self._followed.seen

    def __aiter__(self) -> FollowedMessages:
        return self

    async def __anext__(self) -> MessageEvent:
        while True:
            told = message_event(await anext(self._followed), self._account, self._known)
            if told is not None:
                return told


class ChatMessageQueue(Protocol):
    """Sends messages, each room's in the order of the calls; made by `open_messages`, usable until that is left."""

    def send(
        self, room: str, content: str, reply_to: str | None = None, draft_id: str | None = None
    ) -> MessageReceipt:
        """Take a message by a plain call; it is sent from now on, whether or not anybody waits for its receipt.

        `reply_to` is the client id of another message. `draft_id` becomes the client id: sent twice with the same one,
        as by a double click, a message is sent once. So it names one draft for ever, as a UUID does; without one, the
        message gets an id of its own.

        Raises:
            InvalidAction: Mend the call.
            QueueFull, QueueClosed: It was not taken.
        """

    async def retry(self, client_id: str) -> None:
        """Try a message again from the beginning, now; it keeps its place in the room.

        Raises:
            ActionNotFound: There is none of that id.
            NotPossible: It was sent, was taken back, or is being sent.
        """

    async def cancel(self, client_id: str, *, redact: bool = True) -> Cancelled:
        """Take a message back, and say the truth about it.

        `cancelled`: the server never gets it. `too_late`: the server has it. `will_redact`: the server has it or is
        getting it, and its deletion is on the way; never so with `redact` off.

        Raises:
            ActionNotFound: There is none of that id.
        """

    async def resume(self) -> None:
        """Let messages go on that waited for a login (`session.expired`)."""

    async def status(self) -> MessageStatus:
        """Return how many messages are not sent yet, of all accounts."""

    async def newest_event(self) -> int:
        """Return the cursor of what has happened until now: take it first, then a snapshot, then follow from it."""

    def follow_events(self, after: int = 0) -> FollowedMessages:
        """Return the events after the cursor `after`, and then each as it happens.

        A durable store also has those of other processes and of earlier runs, as far as they are kept; the others
        begin with this run.
        """
