"""`POST /v1/rooms/{id}/messages`, the shortest way: the same answers as the route `post_message`."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from dataserver.answers import JSON, AnyAnswer
from dataserver.cookies import authorization
from dataserver.exchange import check_accept, check_content_type, whole_body
from dataserver.routes.messages import SEND, message_of, sent_answer
from dataserver.wire import json_value

if TYPE_CHECKING:
    from dataserver.departures import Visit
    from dataserver.exchange import Services
    from dataserver.front import Scope

_MEDIA = (JSON,)


class SendMessage:
    """Stores a message."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @staticmethod
    def matches(parts: list[bytes]) -> bool:
        """Tell whether a path of five parts is the address of a room's messages."""
        return parts[4] == b"messages" and parts[2] == b"rooms" and parts[1] == b"v1"

    async def __call__(self, visit: Visit, scope: Scope, parts: list[bytes]) -> AnyAnswer:
        """Answer the number and id of a message, for the room whose messages' address has these parts."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        chat = self._services.chat
        session = chat.accounts.authenticate(authorization(headers, scope["method"]))
        check_accept(headers, _MEDIA)
        check_content_type(headers)
        asked = json_value(SEND, await whole_body(visit, headers, self._services))
        room = unquote(parts[3].decode("latin-1"))
        return sent_answer(await chat.send(await message_of(chat, session.user_id, room, asked)))
