"""How much is measured: a full run (under half an hour on two cores) and a quick one that shows that the table prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The numbers of one run; every load has one."""

    round_count: int
    seconds: float
    """How long a candidate is loaded in one round."""
    item_count: int
    large_count: int
    """Rows of a large answer."""
    growth_counts: tuple[int, ...]
    live_listener_count: int
    live_write_count: int
    """Changes after each of which all who listen are waited for."""
    log_line_count: int
    """Of a chat log that is brought in."""
    lone_count: int
    scan_read_count: int
    scan_read_every_s: float
    scan_s: float
    """How long one scan takes with the machine to itself."""
    queue_round_count: int
    queue_pace_per_s: int
    queue_pace_count: int
    queue_drain_count: int
    """Actions that wait when a drain begins."""
    queue_wake_count: int
    queue_waiting_counts: tuple[int, ...]
    pool_round_count: int
    pool_seconds: float
    """How long a pool of workers is loaded in one round, at most."""
    file_bytes: int
    """Of a file that is hashed, split and merged."""
    buffer_bytes: int
    """The largest buffer that is sent to a worker and back."""
    web_round_count: int
    web_seconds: float
    chat_round_count: int
    chat_seconds: float
    chat_idle_count: int
    chat_delivery_sizes: tuple[tuple[int, int], ...]
    """Connections that follow a room, and events that are on their way to all of them."""
    installs_peers: bool
    """Whether a peer that is not there is installed, outside the repository."""
    session_limit_s: int


FULL = Sizes(
    round_count=5,
    seconds=0.5,
    item_count=200_000,
    large_count=100_000,
    growth_counts=(10_000, 100_000, 1_000_000, 10_000_000),
    live_listener_count=1_000,
    live_write_count=20,
    log_line_count=30_000,
    lone_count=500,
    scan_read_count=300,
    scan_read_every_s=0.008,
    scan_s=3.0,
    queue_round_count=3,
    queue_pace_per_s=1_000,
    queue_pace_count=500,
    queue_drain_count=5_000,
    queue_wake_count=100,
    queue_waiting_counts=(10, 10_000, 1_000_000),
    pool_round_count=3,
    pool_seconds=0.25,
    file_bytes=64 * 1024 * 1024,
    buffer_bytes=16 * 1024 * 1024,
    web_round_count=3,
    web_seconds=2.0,
    chat_round_count=2,
    chat_seconds=1.0,
    chat_idle_count=1_000,
    chat_delivery_sizes=((300, 8), (2_000, 3)),
    installs_peers=True,
    session_limit_s=1_800,
)
QUICK = Sizes(
    round_count=1,
    seconds=0.05,
    item_count=4_000,
    large_count=2_000,
    growth_counts=(1_000, 4_000),
    live_listener_count=20,
    live_write_count=3,
    log_line_count=500,
    lone_count=20,
    scan_read_count=20,
    scan_read_every_s=0.002,
    scan_s=0.1,
    queue_round_count=1,
    queue_pace_per_s=1_000,
    queue_pace_count=100,
    queue_drain_count=200,
    queue_wake_count=10,
    queue_waiting_counts=(10, 1_000),
    pool_round_count=1,
    pool_seconds=0.05,
    file_bytes=2 * 1024 * 1024,
    buffer_bytes=64 * 1024,
    web_round_count=1,
    web_seconds=0.2,
    chat_round_count=1,
    chat_seconds=0.2,
    chat_idle_count=20,
    chat_delivery_sizes=((20, 8), (40, 3)),
    installs_peers=False,
    session_limit_s=110,
)
