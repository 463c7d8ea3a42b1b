"""Why the server ends a connection, as clients see it: a close code of the range for applications, and words. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple


class Ending(NamedTuple):
    """A close code and its reason."""

    code: int
    name: str
    """In metrics."""
    reason: str


MALFORMED: Final = Ending(4400, "malformed", "too many frames that are no commands")
SESSION_ENDED: Final = Ending(4401, "session_ended", "the session has ended: log in again")
NO_HELLO: Final = Ending(4402, "no_hello", "no hello came in time")
SLOW: Final = Ending(4008, "slow_consumer", "too much waited to be read: connect again and resume")
TOO_MANY: Final = Ending(4029, "too_many_connections", "the user has too many connections")
DRAINING: Final = Ending(1012, "draining", "the server restarts: resume after the delay it named")

ENDINGS: Final = (MALFORMED, SESSION_ENDED, NO_HELLO, SLOW, TOO_MANY, DRAINING)
"""All of them, for those who describe the interface."""
