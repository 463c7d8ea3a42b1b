"""Who is logged in: a session is one device of one user."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Session:
    """Who asks, as `Accounts.authenticate` found it."""

    user_id: int
    device_id: int
    name: str
    """The user's, by which they log in."""
    server_role: str | None = None
    """What they may do with databases and the server itself (`read`, `write`, `admin`); most may nothing."""
