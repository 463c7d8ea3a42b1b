"""How a client is paced and bounded; who reads the environment is up above."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from chat.queue.settings import QueueSettings
from workers import BridgeSettings

if TYPE_CHECKING:
    from workers import KeySource


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientSettings:
    """The numbers of one client.

    Raises:
        ValueError: A number makes no sense; the message names it.
    """

    is_live: bool = True
    """Follow events over the WebSocket; off, a program reads when it wants to."""
    timeout_s: float = 30.0
    """For each call over HTTP."""
    first_wait_s: float = 0.5
    """Before connecting again, at most; then twice as long, and so on."""
    most_wait_s: float = 30.0
    queue: QueueSettings = field(default_factory=QueueSettings)
    crypto: BridgeSettings = field(default_factory=BridgeSettings)
    """Where settings are encrypted; in `kind="process"` a worker of its own does it."""
    key: KeySource | None = None
    """A random key with which the files of the store are encrypted, the queue's too (see `QueueSettings.key`). Without one,
    whoever reads them reads messages, names, the tokens of the login, and what waits to be sent."""

    def __post_init__(self) -> None:
        for name in ("timeout_s", "first_wait_s", "most_wait_s"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} is {value!r}; a finite number of seconds above 0 is allowed")
