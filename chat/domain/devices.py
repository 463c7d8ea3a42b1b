"""Devices that are logged in: a row each, and their sessions in memory, so that a request costs no SQL.

What changes the sessions of a user is done one at a time for each user, and to its end even if who asked has left:
else a session that a row no longer has could live on in memory.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio

from chat.domain.one_at_a_time import OneAtATime
from chat.domain.refusals import LimitReached, NotFound, UnknownSession, WrongPassword
from chat.domain.renewing import RefreshState, on_refresh
from chat.domain.session_tokens import (
    access_hash,
    bearer,
    new_access_token,
    new_family,
    new_refresh_token,
    refresh_hashes,
    refresh_parts,
)
from chat.domain.sessions import Ended, IssuedSession, Session, SessionBook
from storage import Earlier, NothingEarlier, StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from chat.domain.account_settings import AccountSettings
    from chat.domain.sessions import WhyEnded
    from chat.domain.tables import Step, Tables
    from workers import Clock

_PAGE_COUNT: Final = 1_000


class Devices:
    """Begins, renews and ends sessions."""

    def __init__(self, tables: Tables, settings: AccountSettings, clock: Clock) -> None:
        self._tables = tables
        self._settings = settings
        self._clock = clock
        self._book = SessionBook()
        self._turns = OneAtATime()
        self._listeners: list[Callable[[Ended], None]] = []

    async def load(self) -> None:
        """Read the sessions that are there; to be done before the first request."""
        await self._tables.write("forget_devices", self._now_ms())
        after = 0
        while (room := self._settings.max_session_count - len(self._book)) > 0:
            count = min(room, _PAGE_COUNT)
            rows = await self._tables.all("held_devices", after, self._now_ms(), count)
            for device_id, user_id, name, server_role, digest, expires_at_ms, is_used in rows:
                session = Session(user_id=user_id, device_id=device_id, name=name, server_role=server_role)
                self._book.put(session, digest, expires_at_ms, is_used=bool(is_used))
                after = device_id
            if len(rows) < count:
                return

    def on_ended(self, listener: Callable[[Ended], None]) -> None:
        """Have `listener` told of each session that ends; called on the event loop, must return at once."""
        self._listeners.append(listener)

    def authenticate(self, authorization: bytes | None) -> Session:
        """Return who sends the value of this `Authorization` header.

        Raises:
            UnknownSession: None came, it is no bearer token, or the token is unknown, has expired or was replaced.
        """
        session = self._book.find(access_hash(bearer(authorization)), self._now_ms())
        if session is None:
            raise UnknownSession("the token is no user's, or has expired; refresh it, or log in")
        return session

    async def begin(
        self, user_id: int, password_hash: str, *, name: str, server_role: str | None, label: str
    ) -> IssuedSession:
        """Log a device of a user in whose password was checked.

        Raises:
            WrongPassword: The password was changed meanwhile, or the user was disabled.
            LimitReached: There are as many sessions as there may be.
        """
        async with self._changing(user_id):
            await self._make_room()
            now_ms, family, access = self._now_ms(), new_family(), new_access_token()
            refresh = new_refresh_token(family)
            hashes, digest = refresh_hashes(refresh), access_hash(access.encode())
            access_until_ms, refresh_until_ms = self._expiries(now_ms)
            made, ended = await self._tables.write_all(
                [
                    (
                        "new_device",
                        (
                            user_id,
                            password_hash,
                            label,
                            hashes.family,
                            hashes.own,
                            digest,
                            access_until_ms,
                            refresh_until_ms,
                            now_ms,
                        ),
                    ),
                    ("end_oldest_devices", (user_id, self._settings.max_devices_per_user - 1)),
                ]
            )
            if not made.rows:
                raise WrongPassword("name and password do not belong together")
            session = Session(user_id=user_id, device_id=made.rows[0][0], name=name, server_role=server_role)
            self._book.put(session, digest, access_until_ms)
            self._forget(user_id, (row[0] for row in ended.rows), "too_many_devices")
            return _issued(session, access, refresh, access_until_ms)

    async def renew(self, token: str) -> IssuedSession:
        """Give a device a new pair of tokens; the pair before is good until this one is used.

        Raises:
            UnknownSession: The token is none, or too old; an old one that was replaced ends the session.
        """
        shown = refresh_hashes(token)
        row = await self._tables.one("device_of_family", shown.family)
        if row is None:
            raise UnknownSession("the refresh token is unknown; log in")
        async with self._changing(row[1]):
            row = await self._tables.one("device_of_family", shown.family)
            if row is None:
                raise UnknownSession("the session has ended; log in")
            device_id, user_id, present, previous, expires_at_ms, name, server_role = row
            state = RefreshState(present, previous, expires_at_ms)
            verdict = on_refresh(
                state, shown.own, is_used=self._book.is_used(device_id), now_ms=self._now_ms()
            )
            if verdict == "unknown":
                raise UnknownSession("the refresh token has expired; log in")
            if verdict == "end":
                await self._end(user_id, [("end_device", (user_id, device_id))], "token_reused")
                raise UnknownSession("the refresh token was used before; the session has ended, log in")
            if verdict == "renew":
                self._book.confirm(device_id)
            elif (issued := self._book.issued(device_id)) is not None:
                return issued
            session = Session(user_id=user_id, device_id=device_id, name=name, server_role=server_role)
            return await self._renewed(session, token, present, shown.own)

    async def end(self, user_id: int, device_id: int, why: WhyEnded) -> None:
        """End one session of a user.

        Raises:
            NotFound: The user has no such device.
        """
        async with self._changing(user_id):
            if not await self._end(user_id, [("end_device", (user_id, device_id))], why):
                raise NotFound(f"you have no device {device_id}", what="device")

    async def end_all(self, user_id: int, change: Step, why: WhyEnded, *, keep: int | None = None) -> bool:
        """Make a change to a user, and end their sessions but `keep`, both or neither; tell whether it was made.

        `change` has to give the user's id when it did something.
        """
        async with self._changing(user_id):
            try:
                await self._end(user_id, [change, ("end_devices", (Earlier(0, "id"), keep or 0))], why)
            except NothingEarlier:
                return False
            return True

    async def change_role(self, user_id: int, server_role: str | None) -> None:
        """Give a user another role on the server; it counts at once."""
        async with self._changing(user_id):
            await self._tables.write("set_role", user_id, server_role)
            self._book.give_role(user_id, server_role)

    async def listed(self, session: Session) -> bytes:
        """Return the devices on which the user is logged in, as JSON, the one seen last first."""
        return await self._tables.text("devices", session.user_id, session.device_id, self._now_ms())

    async def _renewed(self, session: Session, token: str, present: bytes, shown: bytes) -> IssuedSession:
        if session.device_id not in self._book:
            await self._make_room()
        access, refresh = new_access_token(), new_refresh_token(refresh_parts(token)[0])
        digest, now_ms = access_hash(access.encode()), self._now_ms()
        access_until_ms, refresh_until_ms = self._expiries(now_ms)
        renewed = await self._tables.write(
            "renew_device",
            session.device_id,
            present,
            shown,
            refresh_hashes(refresh).own,
            digest,
            access_until_ms,
            refresh_until_ms,
            now_ms,
        )
        if not renewed.rows:
            raise UnknownSession("the refresh token was used elsewhere this moment; log in")
        issued = _issued(session, access, refresh, access_until_ms)
        self._book.put(session, digest, access_until_ms, issued=issued)
        return issued

    @asynccontextmanager
    async def _changing(self, user_id: int) -> AsyncIterator[None]:
        async with self._turns.of(user_id):
            with anyio.CancelScope(shield=True):  # each write in here has its own deadline
                yield

    async def _end(self, user_id: int, steps: Sequence[Step], why: WhyEnded) -> bool:
        """Run `steps`, of which the last gives the ids of ended devices; tell whether there were any."""
        try:
            rows = (await self._tables.write_all(steps))[-1].rows
        except NothingEarlier:
            raise
        except StorageError:  # perhaps it was done: who is still logged in gets a new access token
            for device_id in self._book.devices_of(user_id):
                self._book.drop(device_id)
            raise
        self._forget(user_id, (row[0] for row in rows), why)
        return bool(rows)

    def _forget(self, user_id: int, device_ids: Iterable[int], why: WhyEnded) -> None:
        for device_id in device_ids:
            self._book.drop(device_id)
            for listener in self._listeners:
                listener(Ended(user_id, device_id, why))

    async def _make_room(self) -> None:
        most = self._settings.max_session_count
        if len(self._book) < most:
            return
        for device_id, user_id in (await self._tables.write("forget_devices", self._now_ms())).rows:
            self._forget(user_id, [device_id], "expired")
        if len(self._book) >= most:
            raise LimitReached(f"the server keeps {most} sessions already", limit=most)

    def _expiries(self, now_ms: int) -> tuple[int, int]:
        settings = self._settings
        return now_ms + int(settings.access_token_s * 1000), now_ms + int(settings.refresh_token_s * 1000)

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


def _issued(session: Session, access: str, refresh: str, access_until_ms: int) -> IssuedSession:
    return IssuedSession(
        access_token=access,
        refresh_token=refresh,
        access_expires_at_ms=access_until_ms,
        user_id=str(session.user_id),
        device_id=str(session.device_id),
        name=session.name,
        server_role=session.server_role,
    )
