"""The last messages of this process: a fast server has one, and its content is wiped, before readers are told of it."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from chat.queue.payloads import SendMessage

MAX_COUNT = 10_000
MAX_CHARS = 1_000_000


class RecentMessages:
    """Remembers messages by client id, the oldest ones no longer when there are too many."""

    def __init__(self) -> None:
        self._messages: OrderedDict[str, SendMessage] = OrderedDict()
        self._char_count = 0

    def add(self, client_id: str, message: SendMessage) -> None:
        """Remember `message`; one of that id is remembered as it was."""
        if client_id in self._messages:
            return
        self._messages[client_id] = message
        self._char_count += len(message.content)
        while self._messages and (self._char_count > MAX_CHARS or len(self._messages) > MAX_COUNT):
            _, oldest = self._messages.popitem(last=False)
            self._char_count -= len(oldest.content)

    def find(self, client_id: str) -> SendMessage | None:
        """Return the message of that id, None if it is not remembered."""
        return self._messages.get(client_id)
