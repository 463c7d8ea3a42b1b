"""What becomes of a refresh token that is shown: the rule, pure.

Each refresh gives a new pair and keeps the hash of the token that was shown. That one is good once more until the new
pair was used, since the answer may have been lost; after that, whoever shows an old token is not the device, or the
device is not alone: the session ends for both.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Verdict = Literal["renew", "again", "end", "unknown"]


class RefreshState(NamedTuple):
    """What is kept of a device's refresh tokens; all of them begin with the same family."""

    present: bytes
    previous: bytes | None
    expires_at_ms: int


def on_refresh(state: RefreshState, shown: bytes, *, is_used: bool, now_ms: int) -> Verdict:
    """Return what to do for who shows a token of this family; `is_used` says that the present pair has come back."""
    if now_ms >= state.expires_at_ms:
        return "unknown"
    if shown == state.present:
        return "renew"
    if shown == state.previous and not is_used:
        return "again"
    return "end"
