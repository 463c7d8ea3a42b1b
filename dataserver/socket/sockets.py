"""`/v1/ws`: takes connections in while there are few enough, and refuses the others in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from dataserver.cookies import socket_authorization
from dataserver.errors import answering, error_body, error_headers
from dataserver.socket.connection import Connection
from dataserver.socket.links import link_of
from dataserver.wire import json_bytes

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from chat import Chat, Session
    from dataserver.answers import Send
    from dataserver.departures import Receive
    from dataserver.socket.hub import Hub
    from dataserver.socket.identity import Authenticate

PATH: Final = "/v1/ws"
_BEARER: Final = b"bearer "
_EXTENSION: Final = "websocket.http.response"

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class Sockets:
    """The WebSocket side of the application."""

    def __init__(self, chat: Chat, hub: Hub, authenticate: Authenticate) -> None:
        self._chat = chat
        self._hub = hub
        self._authenticate = authenticate

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection from its handshake to its end."""
        await receive()
        connection = Connection(
            self._chat, self._hub, self._authenticate, receive=receive, send=send, link=link_of(scope, send)
        )
        try:
            session, token = self._known(dict(scope["headers"]))
            connection.arrive()
        except Exception as error:  # noqa: BLE001 - the border: whatever it is ends here, and the client is told
            await refuse(error, scope, send)
            return
        try:
            await send({"type": "websocket.accept"})
            await connection.run(session, token)
        except OSError:
            _log.debug("socket.lost")
        except Exception as error:  # noqa: BLE001 - a bug of ours ends this connection alone
            _log.error("socket.failed", exc_info=error)
        finally:
            connection.gone()

    def _known(self, headers: dict[bytes, bytes]) -> tuple[Session | None, bytes]:
        authorization = socket_authorization(headers)
        if authorization is None:
            return None, b""
        return self._authenticate(authorization), authorization[len(_BEARER) :].strip()


async def refuse(error: Exception, scope: MutableMapping[str, Any], send: Send) -> None:
    """Answer a handshake with a refusal, as HTTP where the server can do that."""
    how = answering(type(error))
    if how.level == "error":
        _log.error("socket.failed", code=how.code, exc_info=error)
    else:
        getattr(_log, how.level)("socket.refused", code=how.code, status=how.status)
    if _EXTENSION not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1000, "reason": how.code})
        return
    body = json_bytes(error_body(error, how))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        *error_headers(error, how),
    ]
    await send({"type": f"{_EXTENSION}.start", "status": how.status, "headers": headers})
    await send({"type": f"{_EXTENSION}.body", "body": body})
