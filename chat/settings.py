"""How a program's messages are sent: through which store, or without the queue at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from chat.queue.settings import QueueSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatSettings:
    """What `open_messages` is told; `dataserver.settings.load` reads it from the environment and a file.

    Raises:
        ValueError: There is no such store.
    """

    use_queue: bool = True
    """Off (`USE_CHAT_QUEUE=0`), each message is sent directly, once: for a roll-back without a release."""
    store: Literal["durable", "memory"] = "durable"
    """Where messages wait: in a file, or in this process, with which they are lost."""
    queue: QueueSettings = field(default_factory=QueueSettings)

    def __post_init__(self) -> None:
        if self.store not in {"durable", "memory"}:
            raise ValueError(f"store is {self.store!r}; allowed are 'durable' and 'memory'")
