"""What an operator may say of accounts: who gets one, how long a login lasts, how often things may be tried."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True, slots=True)
class PasswordCost:
    """What Argon2id takes for a password; each stored one keeps its own.

    The default is the least that OWASP advises: 54 ms of processor time here, against 320 ms for RFC 9106's 64 MiB and
    three passes, with which a server of two cores logs three users in a second (2026-11-23).
    """

    memory_kib: int = 19 * 1024
    passes: int = 2
    lanes: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountSettings:
    """The numbers of accounts.

    Raises:
        ValueError: A number makes no sense; the message names it and what is allowed.
    """

    is_registration_open: bool = True
    """Whether whoever reaches the server may make an account; `dataserver user create` always can."""
    access_token_s: float = 3_600.0
    """How long an access token is good; its device then gets another one by its refresh token."""
    refresh_token_s: float = 30 * 86_400.0
    """After how long without a refresh a device has to log in again."""
    login_attempts_per_minute: int = 10
    """For each name, at once and again each minute; a successful one does not count. Ten times as many an address."""
    sends_per_s: int = 100
    """Messages of each user, in the long run."""
    send_burst_count: int = 1_000
    """Messages that a user may send at once."""
    changes_per_s: int = 100
    """What each user does beside messages, in the long run: edits, reactions, profiles, rooms, settings. Read markers
    are counted by themselves, with the same numbers."""
    change_burst_count: int = 5_000
    """As much of that as a user may do at once."""
    creations_per_minute: int = 1_000
    """Spaces, rooms, groups, links, conversations, pictures and keys of each user, at once and again each minute."""
    searches_per_minute: int = 600
    """Of each user."""
    refreshes_per_minute: int = 60
    """Of each device."""
    max_devices_per_user: int = 50
    """One more ends the session of the device that was silent for longest."""
    max_session_count: int = 100_000
    """All users' together; they are in memory, about 1 KB each."""
    password_cost: PasswordCost = PasswordCost()

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, bool | PasswordCost) and not 0 < value < float("inf"):
                raise ValueError(f"{field.name} is {value!r}; a finite number above 0 is allowed")
