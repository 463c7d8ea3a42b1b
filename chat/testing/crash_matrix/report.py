"""What a run of the matrix is told as: a table for people, JSON for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from chat.testing.crash_matrix.audit import Findings
    from chat.testing.crash_matrix.plan import Plan
    from chat.testing.crash_matrix.supervisor import Tally

_MOST_CHARS = 200


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run and what came out of it."""

    actions: int
    processes: int
    seed: int
    took_s: float
    sabotage: str | None
    kills: dict[str, int]
    """By the step at which a process crashed; also those at any moment, and of the server."""
    starts: int
    freezes: int
    stops: int
    seen: dict[str, int]
    wrong: dict[str, int]
    examples: dict[str, list[str]]
    is_clean: bool


def reported(plan: Plan, tally: Tally, findings: Findings, took_s: float) -> Report:
    """Return the report of a run."""
    return Report(
        actions=plan.action_count,
        processes=plan.process_count,
        seed=plan.seed,
        took_s=round(took_s, 1),
        sabotage=plan.sabotage,
        kills=dict(sorted(tally.kills.items())),
        starts=tally.done["starts"],
        freezes=tally.done["freezes"],
        stops=tally.done["stops"],
        seen=findings.seen,
        wrong=findings.wrong,
        examples=findings.examples,
        is_clean=findings.is_clean,
    )


def as_json(report: Report) -> str:
    """Return `report` as one line."""
    return msgspec.json.encode(report).decode()


def as_table(report: Report) -> str:
    """Return `report` for people."""
    lines = [
        f"Crash matrix: {report.actions:,} actions, {report.processes} processes and a follower on one file",
        f"seed {report.seed}, {report.took_s:.1f} s",
        "",
        *_rows(
            {
                "killed": sum(report.kills.values()),
                **{f"  {step}": count for step, count in report.kills.items()},
                "frozen beyond the lease, and woken": report.freezes,
                "stopped with SIGTERM": report.stops,
                "started": report.starts,
            }
        ),
        "",
        *_rows(report.seen),
        "",
        *_rows(report.wrong),
    ]
    for what, names in report.examples.items():
        lines.append(f"{what}: {'; '.join(names)[:_MOST_CHARS]}")
    lines += ["", "clean" if report.is_clean else "NOT CLEAN"]
    return "\n".join(lines)


def _rows(counts: dict[str, int]) -> list[str]:
    return [f"  {what:<44}{count:>12,}" for what, count in counts.items()]
