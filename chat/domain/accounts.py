"""Accounts: who may log in, and how. A name that nobody has is answered like a wrong password, and as late."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from chat.domain.devices import Devices
from chat.domain.passwords import Passwords
from chat.domain.rates import RateLimit
from chat.domain.refusals import NotPermitted, WrongPassword
from chat.domain.session_tokens import refresh_hashes
from chat.domain.texts import check_text
from chat.domain.users import MAX_NAME_CHARACTERS, Users

if TYPE_CHECKING:
    from collections.abc import Callable

    from chat.domain.account_settings import AccountSettings
    from chat.domain.sessions import Ended, IssuedSession, Session
    from chat.domain.tables import Tables
    from workers import Bridges, Clock

MAX_LABEL_CHARACTERS: Final = 100

_ADDRESS_FACTOR: Final = 10
_IPV6_SITE_BYTES: Final = 8
_MINUTE_S: Final = 60


class Accounts:
    """Makes accounts, logs their devices in and out, and knows whose request it is."""

    def __init__(self, tables: Tables, settings: AccountSettings, clock: Clock, bridges: Bridges) -> None:
        self._tables = tables
        self._settings = settings
        self._passwords = Passwords(bridges, settings.password_cost)
        self._devices = Devices(tables, settings, clock)
        self.users = Users(tables, self._passwords, self._devices, clock)
        """For those who run the server."""
        per_minute = settings.login_attempts_per_minute
        self._attempts_by_name = _attempts(clock, per_minute)
        self._attempts_by_address = _attempts(clock, _ADDRESS_FACTOR * per_minute)
        self._refreshes = _attempts(clock, settings.refreshes_per_minute)

    async def load(self) -> None:
        """Read the sessions that are there; to be done before the first request."""
        await self._devices.load()

    def authenticate(self, authorization: bytes | None) -> Session:
        """Return who sends the value of this `Authorization` header; from memory.

        Raises:
            UnknownSession: None came, it is no bearer token, or the token is unknown, has expired or was replaced.
        """
        return self._devices.authenticate(authorization)

    def on_ended(self, listener: Callable[[Ended], None]) -> None:
        """Have `listener` told of each session that ends; called on the event loop, must return at once."""
        self._devices.on_ended(listener)

    async def register(
        self,
        name: str,
        password: str,
        *,
        display_name: str = "",
        device: str = "",
        address: str | None = None,
    ) -> IssuedSession:
        """Make an account for whoever asks, and log their device in.

        Raises:
            NotPermitted: This server makes accounts by hand only.
            InvalidValue, Taken, TooOften, LimitReached: As their names say.
        """
        if not self._settings.is_registration_open:
            raise NotPermitted("this server does not let you register; ask whoever runs it", needed="admin")
        check_text(device, "device", MAX_LABEL_CHARACTERS, least=0)
        self._count_attempt(address)
        user_id, password_hash = await self.users.made(name, password, display_name=display_name)
        return await self._devices.begin(
            user_id, password_hash, name=name.lower(), server_role=None, label=device
        )

    async def login(
        self, name: str, password: str, *, device: str = "", address: str | None = None
    ) -> IssuedSession:
        """Log a device in.

        Raises:
            WrongPassword: Name and password do not belong together.
            NotPermitted: They do, and the user is disabled.
            TooOften: There were too many attempts with this name or from this address.
            InvalidValue, LimitReached: As their names say.
        """
        check_text(device, "device", MAX_LABEL_CHARACTERS, least=0)
        check_text(name, "name", MAX_NAME_CHARACTERS)
        self._count_attempt(address)
        found = await self._checked(name, password)
        user_id, name, password_hash, server_role, disabled_at_ms = found
        if disabled_at_ms is not None:
            raise NotPermitted("this account is disabled; ask whoever runs the server", needed="admin")
        return await self._devices.begin(
            user_id, password_hash, name=name, server_role=server_role, label=device
        )

    async def refresh(self, refresh_token: str, *, address: str | None = None) -> IssuedSession:
        """Exchange a refresh token for a new pair; asked again before the new pair was used, it is the same one.

        Raises:
            UnknownSession: The token is none, or too old; one that was replaced by a pair that is in use ends the
                session.
            TooOften: The device refreshed too often, or there were too many unknown tokens from this address.
            LimitReached: There are as many sessions as there may be.
        """
        self._refreshes.take(refresh_hashes(refresh_token).family)
        counted = self._count_attempt(address)
        issued = await self._devices.renew(refresh_token)
        if counted is not None:
            self._attempts_by_address.give_back(counted)
        return issued

    async def logout(self, session: Session) -> None:
        """End the session.

        Raises:
            NotFound: It ended this moment.
        """
        await self._devices.end(session.user_id, session.device_id, "logged_out")

    async def devices(self, session: Session) -> bytes:
        """Return the devices on which the user is logged in, as JSON, the one seen last first."""
        return await self._devices.listed(session)

    async def end_device(self, session: Session, device_id: int) -> None:
        """End the session of one of the user's own devices.

        Raises:
            NotFound: The user has no such device.
        """
        await self._devices.end(session.user_id, device_id, "device_removed")

    async def change_password(self, session: Session, current: str, new: str) -> None:
        """Give the user another password, and end all their sessions but this one; each is an attempt with the name.

        Raises:
            WrongPassword: The current one is another.
            InvalidValue, TooOften: As their names say.
        """
        _, _, password_hash, *_ = await self._checked(session.name, current)
        self._attempts_by_name.take(session.name)
        hashed = await self._passwords.hashed(new)
        change = ("change_password", (session.user_id, password_hash, hashed))
        if not await self._devices.end_all(
            session.user_id, change, "password_changed", keep=session.device_id
        ):
            raise WrongPassword("the password was changed elsewhere this moment")

    def _count_attempt(self, address: str | None) -> str | None:
        """Count an attempt from an address, and return as what it is counted."""
        counted = None if address is None else site(address)
        if counted is not None:
            self._attempts_by_address.take(counted)
        return counted

    async def _checked(self, name: str, password: str) -> tuple[int, str, str, str | None, int | None]:
        """Return the user whose name and password these are; wrong ones count."""
        key = name.lower()
        self._attempts_by_name.take(key)
        row = await self._tables.one("user_named", name, key)
        if not await self._passwords.matches(password, None if row is None else row[2]) or row is None:
            raise WrongPassword("name and password do not belong together")
        self._attempts_by_name.give_back(key)
        user_id, name, password_hash, server_role, disabled_at_ms = row
        return user_id, name, password_hash, server_role, disabled_at_ms


def site(address: str) -> str | None:
    """Return what counts as one address; None for this machine's own, behind which a proxy has everybody.

    Of IPv6 it is the first half, since one site has all addresses that begin with it.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6:  # noqa: PLR2004 - of the protocol
        parsed = parsed.ipv4_mapped or parsed
    if parsed.is_loopback:
        return None
    return str(parsed) if parsed.version == 4 else parsed.packed[:_IPV6_SITE_BYTES].hex()  # noqa: PLR2004 - as above


def _attempts(clock: Clock, per_minute: int) -> RateLimit:
    return RateLimit(clock, what="attempts", per_s=per_minute / _MINUTE_S, burst_count=per_minute)
