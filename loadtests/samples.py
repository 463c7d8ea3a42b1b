"""What a run leaves behind: one `Answered` a request, one `Reading` of the server every half second; as lines of JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

Outcome = Literal["ok", "refused", "failed"]
Line = TypeVar("Line")


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One request, from its first byte to the last of its answer."""

    begun_s: float
    """On the machine's monotonic clock, which all its processes share."""
    name: str
    took_ms: float
    outcome: Outcome
    """`refused` is a 503 of a bound: the server said when to come again. All else that is no success is `failed`."""
    detail: str = ""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What the server said of itself, and what its processes hold."""

    at_s: float
    loop_lag_ms: float | None
    """The longest wait of its event loop since the reading before; None when it did not answer in time."""
    memory_bytes: int
    """PSS of the process tree, with memfds."""
    scrape_ms: float | None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run under load, with the flag on or off."""

    label: str
    begun_s: float
    ended_s: float
    offered_per_s: float
    answered: list[Answered]
    readings: list[Reading]
    pool: str = ""
    """What the server says its pool is: kind and number of workers."""
    machine_late_s: float = 0.0
    """The longest that the machine did not let an idle thread run: what is shorter than this may be its doing."""


def write_lines(path: Path, lines: Iterable[object]) -> None:
    """Write the structs, one line of JSON each."""
    path.write_bytes(msgspec.json.Encoder().encode_lines(list(lines)))


def read_lines(path: Path, line: type[Line]) -> list[Line]:
    """Return what `write_lines` wrote."""
    return msgspec.json.Decoder(line).decode_lines(path.read_bytes())
