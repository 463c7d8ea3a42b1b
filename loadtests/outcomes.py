"""What an answer means for the load test: a success, a refusal that the server meant, or a failure; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.samples import Outcome

_OK = range(200, 300)
_UNAVAILABLE = 503


def outcome_of(*, status: int, error_code: str, retry_after: str | None) -> tuple[Outcome, str]:
    """Return the outcome and, for all but a success, what to call it.

    A 503 with `Retry-After` is a bound that did its work; one without is a failure like any other.
    """
    if status in _OK:
        return "ok", ""
    if status == _UNAVAILABLE and retry_after is not None:
        return "refused", error_code or "503"
    if status == 0:
        return "failed", error_code or "no answer"
    return "failed", f"{status} {error_code}".strip()
