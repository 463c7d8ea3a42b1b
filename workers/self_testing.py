"""A trial of each kind of worker on this machine: does it start, answer, hash, encrypt, share; and how fast.

`required` trials must pass wherever a kind runs; the others tell what is done without. A kind that can't run here is
no failure, for another takes its place, but one kind must run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import anyio
import msgspec

from workers.errors import PortableError, WorkersError
from workers.opening import open_pool
from workers.services.trial import TrialUnavailable
from workers.settings import KINDS, Kind, PoolSettings
from workers.shared.capabilities import Capabilities, capabilities
from workers.shared.counter import SharedCounter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.pool import Pool

SERVICE = "workers.services.trial:TrialService"
LIMIT_S = 5.0
"""For each trial; starting a worker is one."""
_DRAIN_S = 0.1
"""What does not answer is not waited for twice."""
REQUIRED = ("start", "ping", "hash", "aes_gcm")
INFORMATIONAL = ("ed448", "memfd", "shared")

Outcome = Literal["passed", "failed", "unavailable"]


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How one thing went in one kind of worker."""

    kind: Kind
    name: str
    outcome: Outcome
    required: bool
    took_ms: float
    detail: str


class SelfTest(msgspec.Struct, frozen=True, kw_only=True):
    """How all went."""

    ok: bool
    """Some kind runs, and in each that does every required trial passed."""
    trials: tuple[Trial, ...]
    capabilities: Capabilities

    def json(self) -> bytes:
        """Return it as JSON."""
        return msgspec.json.encode(self)

    def table(self) -> str:
        """Return it as lines of text, for a person."""
        rows = [("kind", "trial", "outcome", "ms", "detail")]
        rows += [
            (each.kind, each.name, each.outcome, f"{each.took_ms:.1f}", each.detail) for each in self.trials
        ]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        return "\n".join(
            "  ".join(
                [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[4]]
            ).rstrip()
            for row in rows
        )


async def self_test(
    kinds: Sequence[Kind] = tuple(reversed(KINDS)), *, service: str = SERVICE, limit_s: float = LIMIT_S
) -> SelfTest:
    """Try each of `kinds`, one after the other; takes about a second and leaves nothing behind."""
    trials: list[Trial] = []
    for kind in kinds:
        trials += await _tried(kind, service, limit_s)
    return SelfTest(ok=judged(trials), trials=tuple(trials), capabilities=capabilities())


def judged(trials: Sequence[Trial]) -> bool:
    """Return whether all is well."""
    ran = {each.kind for each in trials if each.name == "start" and each.outcome == "passed"}
    failed = [each for each in trials if each.required and each.outcome == "failed"]
    return bool(ran) and not failed


async def _tried(kind: Kind, service: str, limit_s: float) -> list[Trial]:
    trials: list[Trial] = []
    began = time.perf_counter()

    def note(name: str, outcome: Outcome, detail: str) -> None:
        nonlocal began
        trials.append(
            Trial(
                kind=kind,
                name=name,
                outcome=outcome,
                required=name in REQUIRED,
                took_ms=(time.perf_counter() - began) * 1000,
                detail=detail,
            )
        )
        began = time.perf_counter()

    settings = PoolSettings(kind=kind, worker_count=1, start_timeout_s=limit_s)
    try:
        async with open_pool(
            service, {}, settings, name=f"self-test-{kind}", has_lanes=False, drain_s=_DRAIN_S
        ) as pool:
            if pool.kind != kind:
                note("start", "unavailable", pool.statistics().fallback_reason or f"fell back to {pool.kind}")
                return trials
            note("start", "passed", "")
            for name in (*REQUIRED[1:], *INFORMATIONAL):
                note(name, *await _outcome(pool, name, limit_s))
    except WorkersError as error:
        note("start", "failed", f"{type(error).__name__}: {error}")
    return trials


async def _outcome(pool: Pool, name: str, limit_s: float) -> tuple[Outcome, str]:
    try:
        with anyio.fail_after(limit_s):
            detail = await (_shared(pool, limit_s) if name == "shared" else _asked(pool, name, limit_s))
    except TrialUnavailable as error:
        return "unavailable", str(error)
    except (WorkersError, PortableError) as error:
        return "failed", f"{type(error).__name__}: {error}"
    except TimeoutError:
        return "failed", f"no answer within {limit_s:g} s"
    return "passed", detail


async def _asked(pool: Pool, name: str, limit_s: float, buffers: Sequence[bytes] = ()) -> str:
    params = 1 if name == "ping" else None
    with await pool.request(name, params, str, buffers=buffers, timeout_s=limit_s) as answer:
        return answer.value


async def _shared(pool: Pool, limit_s: float) -> str:
    with SharedCounter(41) as counter:
        backing = await _asked(pool, "shared", limit_s, [counter.get_buffer()])
        if counter.value != 42:  # noqa: PLR2004 - 41 and 1
            raise PortableError("what the worker added was not seen")
    return backing
