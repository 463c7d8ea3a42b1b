"""What the network checks are asked and answer; nothing else, so that a caller imports no client.

Every check says as `reason` how it did (see `Reason`), and as `detail` the same for a person.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Reason = Literal[
    "ok", "dns", "refused", "unreachable", "tls", "timeout", "reset", "captive", "status", "protocol", "url"
]
"""`dns`: the name has no address. `refused`: nobody listens. `unreachable`: no way there. `tls`: no trusted, sound TLS.
`timeout`: no answer in time. `reset`: the other side hung up. `captive`: somebody else answered, as portals of hotels
do. `status`: an answer of another status. `protocol`: no HTTP (no STUN). `url`: not one to ask."""

MAX_TARGETS_COUNT = 32
MAX_SAMPLES_COUNT = 1_000
MAX_TRANSFER_BYTES = 1024 * 1024 * 1024
MAX_GATHERING_S = 4.0
"""STUN and ICE get no longer: reports tell of 40 s behind broken DNS or IPv6."""

Url = Annotated[str, msgspec.Meta(max_length=2_000)]
Host = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=60)]
CappedSeconds = Annotated[float, msgspec.Meta(gt=0, le=MAX_GATHERING_S)]
Direction = Literal["down", "up"]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask, and the status that proves that nobody else answers in its place (None: any that is no error)."""

    url: Url
    expected_status: int | None = None


class ConnectivityParams(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask, all at once."""

    targets: Annotated[tuple[Target, ...], msgspec.Meta(min_length=1, max_length=MAX_TARGETS_COUNT)]
    timeout_s: Seconds
    """For each check, from the name's resolution to the head of the answer."""
    ca_pem: str | None = None


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """How one URL did."""

    url: str
    reason: Reason
    detail: str
    status: int | None = None
    took_ms: float


class Connectivity(msgspec.Struct, frozen=True, kw_only=True):
    """How all did, in the order in which they were given."""

    is_online: bool
    """At least one is `ok`."""
    checks: tuple[Check, ...]


class LatencyParams(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask, and how often."""

    url: Url
    """Of `http`, `https`, or `tcp://host:port`."""
    samples_count: Annotated[int, msgspec.Meta(ge=1, le=MAX_SAMPLES_COUNT)]
    interval_s: Annotated[float, msgspec.Meta(ge=0, le=10)]
    timeout_s: Seconds
    """For each sample; one that takes longer is lost."""
    ca_pem: str | None = None


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds of round trips; all 0.0 if there is none."""

    min_ms: float = 0.0
    mean_ms: float = 0.0
    p50_ms: float = 0.0
    p90_ms: float = 0.0
    p99_ms: float = 0.0
    max_ms: float = 0.0
    jitter_ms: float = 0.0
    """The mean difference of each to the one before it."""


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """The round trips, in the order in which they were made."""

    reason: Reason
    """Why there is no sample; `ok` if there is one."""
    detail: str
    connect_ms: float | None
    """From the name's resolution to the first answer; None if there was none."""
    samples_ms: tuple[float, ...]
    lost_count: int
    spread: Spread


class BandwidthParams(msgspec.Struct, frozen=True, kw_only=True):
    """What to send or fetch, and how much at most."""

    url: Url
    direction: Direction
    max_bytes: Annotated[int, msgspec.Meta(ge=1, le=MAX_TRANSFER_BYTES)]
    max_s: Seconds
    timeout_s: Seconds
    """For the connection, and for each pause in the transfer."""
    ca_pem: str | None = None


class Bandwidth(msgspec.Struct, frozen=True, kw_only=True):
    """How much went through in what time."""

    reason: Reason
    """Why it ended early; what was transferred until then counts."""
    detail: str
    status: int | None
    transferred_bytes: int
    took_s: float
    """Down: from the head of the answer on. Up: from the first piece until the server answered, or the time was up."""
    bits_per_s: float
    is_bounded: bool
    """A bound ended it: there was more to fetch, or time was up."""


class StunParams(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask."""

    host: Host
    port: Port
    timeout_s: CappedSeconds


class StunBinding(msgspec.Struct, frozen=True, kw_only=True):
    """What the server said."""

    reason: Reason
    detail: str
    mapped_host: str | None = None
    """The address that the server saw; None if it said nothing."""
    mapped_port: int | None = None
    local_port: int | None = None
    tries_count: int = 0
    round_trip_ms: float | None = None
    """Of the try that was answered."""


class IceParams(msgspec.Struct, frozen=True, kw_only=True):
    """Which server tells us our address from outside, if any."""

    stun_host: Host | None
    stun_port: Port
    use_ipv6: bool
    timeout_s: CappedSeconds


class IceCandidate(msgspec.Struct, frozen=True, kw_only=True):
    """One address."""

    kind: str
    """`host`: of this machine; `srflx`: as the STUN server saw it."""
    host: str
    port: int
    priority: int
    foundation: str
    related_host: str | None
    """The address of this machine that it belongs to."""


class IceGathering(msgspec.Struct, frozen=True, kw_only=True):
    """What was gathered, the best first."""

    reason: Reason
    """Why there is no candidate of the STUN server; `ok` if there is one, or none was asked for."""
    detail: str
    candidates: tuple[IceCandidate, ...]
    took_ms: float
