"""The bounds of the WebSocket side: whoever passes one is closed or refused in words, and nothing grows without end."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True, slots=True)
class SocketLimits:
    """How much a connection may hold, and for how long.

    Raises:
        ValueError: A number makes no sense; the message names it and what is allowed.
    """

    max_connections: int = 5_000
    """Over all users; the next one is answered 503."""
    max_connections_per_user: int = 50
    max_frame_bytes: int = 262_144
    """The largest command: a message of the longest content, with each character escaped."""
    max_waiting_bytes: int = 1_048_576
    """What may wait to be read by one client; one that falls further behind is closed with code 4008."""
    max_in_flight: int = 64
    """Commands of a connection that are worked on; the server reads no further meanwhile."""
    max_streams: int = 1_000
    """That one connection may follow."""
    max_catch_up_count: int = 1_000
    """Missed events that a subscription makes up for; who missed more is told `recovered: false`."""
    hello_timeout_s: float = 5.0
    """How long a connection may take to say who it is."""
    ping_interval_s: float = 20.0
    """How often a client is asked whether it is there; it has as long to answer."""
    resume_spread_s: float = 5.0
    """Over how long clients spread their return when the server stops."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 < value < float("inf"):
                raise ValueError(f"{field.name} is {value!r}; a finite number above 0 is allowed")
