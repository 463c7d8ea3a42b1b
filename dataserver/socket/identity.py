"""Who a connection is, and for how long that holds: it has to say so in time, and its token has to go on counting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from chat import Session, UnknownSession
from dataserver.refusals import Unauthenticated
from dataserver.socket.endings import NO_HELLO, SESSION_ENDED, TOO_MANY

if TYPE_CHECKING:
    from dataserver.socket.hub import Hub
    from dataserver.socket.ops import Hello
    from dataserver.socket.subscriber import Subscriber

TOKEN_CHECK_S: Final = 15.0
"""How often it is asked whether the client's token still counts."""

Authenticate = Callable[[bytes | None], Session]
"""Tells whose an `Authorization` header is; raises UnknownSession."""


class Identity:
    """Ends its client when nobody knows who it is, or nobody knows any more."""

    __slots__ = ("_authenticate", "_hub", "_subscriber", "_timer", "_token")

    def __init__(self, hub: Hub, subscriber: Subscriber, authenticate: Authenticate) -> None:
        self._hub = hub
        self._subscriber = subscriber
        self._authenticate = authenticate
        self._token = b""
        self._timer: asyncio.TimerHandle | None = None

    @property
    def session(self) -> Session:
        """Who the client is.

        Raises:
            Unauthenticated: It has not said so.
        """
        session = self._subscriber.session
        if session is None:
            raise Unauthenticated('say who you are first: {"op": "hello", "token": TOKEN}')
        return session

    def begin(self, session: Session | None, token: bytes) -> None:
        """Take who a header says that the client is; without one, give it time to say so."""
        if session is None:
            self._after(self._hub.limits.hello_timeout_s, lambda: self._subscriber.end(NO_HELLO))
        else:
            self._enter(session, token)

    def hello(self, said: Hello) -> dict[str, Any]:
        """Take who the client says that it is, or the token that takes the place of its older one; return its bounds.

        Raises:
            UnknownSession: The token is not, or no more, one of a session.
            Unauthenticated: The connection is somebody else's, or another device's.
        """
        token = said.token.encode()
        session = self._authenticate(b"Bearer " + token)
        known = self._subscriber.session
        if known is None:
            self._enter(session, token)
        elif (known.user_id, known.device_id) == (session.user_id, session.device_id):
            self._token = token
        else:
            raise Unauthenticated("the token belongs to another device; open another connection")
        limits = self._hub.limits
        return {
            "user": str(session.user_id),
            "device": str(session.device_id),
            "max_frame_bytes": limits.max_frame_bytes,
            "max_in_flight": limits.max_in_flight,
            "ping_interval_ms": int(limits.ping_interval_s * 1_000),
        }

    def close(self) -> None:
        """Ask no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _enter(self, session: Session, token: bytes) -> None:
        if not self._hub.enter(self._subscriber, session):
            self._subscriber.end(TOO_MANY)
        self._token = token
        self._after(TOKEN_CHECK_S, self._check_token)

    def _check_token(self) -> None:
        try:
            self._authenticate(b"Bearer " + self._token)
        except UnknownSession:
            self._subscriber.end(SESSION_ENDED)
        else:
            self._after(TOKEN_CHECK_S, self._check_token)

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        self.close()
        self._timer = asyncio.get_running_loop().call_later(seconds, act)
