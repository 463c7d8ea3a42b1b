"""How a dated backup is named: after its database and the time (UTC), with a number where that is not enough."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_NAME = re.compile(
    r"(?P<database>[a-z0-9][a-z0-9_-]{0,62}(?:\.db)?)-(?P<at>\d{8}T\d{6}Z)(?:-(?P<number>\d+))?\.db"
)


def name_of_backup(database: str, now: float, number: int = 1) -> str:
    """Return the name of a backup of `database` made at `now` (UTC seconds)."""
    at = datetime.fromtimestamp(now, tz=UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{database}-{at}.db" if number == 1 else f"{database}-{at}-{number}.db"


def place_in_time(name: str, database: str) -> tuple[str, int] | None:
    """Return what orders the backups of `database` by their age; None if `name` is of none of them."""
    matched = _NAME.fullmatch(name)
    if matched is None or matched["database"] != database:
        return None
    return matched["at"], int(matched["number"] or 1)


def database_of(name: str) -> str | None:
    """Return of which database the file `name` is a backup; None if it is not named as one."""
    matched = _NAME.fullmatch(name)
    return None if matched is None else matched["database"]
