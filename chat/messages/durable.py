"""Messages that wait in the file of an action queue: they survive whatever the process does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chat.messages.events import SEND_MESSAGE
from chat.messages.face import FollowedMessages, MessageReceipt, MessageStatus
from chat.messages.recent import RecentMessages
from chat.queue.payloads import SendMessage

if TYPE_CHECKING:
    from chat.queue.action_queue import ActionQueue
    from chat.queue.control import Cancelled


class DurableMessages:
    """See `ChatMessageQueue`; the messages of one account in an action queue, which may hold other actions too."""

    def __init__(self, queue: ActionQueue, *, account: str = "") -> None:
        self._queue = queue
        self._account = account
        self._recent = RecentMessages()

    def send(
        self, room: str, content: str, reply_to: str | None = None, draft_id: str | None = None
    ) -> MessageReceipt:
        """See `ChatMessageQueue`."""
        message = SendMessage(room_id=room, content=content, reply_to_id=reply_to)
        receipt = self._queue.put(message, account=self._account, client_id=draft_id)
        self._recent.add(receipt.client_id, message)
        return MessageReceipt(receipt.client_id, room, receipt)

    async def retry(self, client_id: str) -> None:
        """See `ChatMessageQueue`."""
        await self._queue.retry(client_id)

    async def cancel(self, client_id: str, *, redact: bool = True) -> Cancelled:
        """See `ChatMessageQueue`."""
        return await self._queue.cancel(client_id, redact=redact)

    async def resume(self) -> None:
        """See `ChatMessageQueue`."""
        await self._queue.resume_account(self._account)

    async def status(self) -> MessageStatus:
        """See `ChatMessageQueue`."""
        counted = await self._queue.statistics(SEND_MESSAGE)
        return MessageStatus(pending=counted.pending, sending=counted.processing)

    async def newest_event(self) -> int:
        """See `ChatMessageQueue`."""
        return await self._queue.newest_event()

    def follow_events(self, after: int = 0) -> FollowedMessages:
        """See `ChatMessageQueue`."""
        return FollowedMessages(self._queue.follow_events(after), self._account, self._recent.find)
