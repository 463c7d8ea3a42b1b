"""Sends, edits, deletions, reactions and pins.

A message is named by the client id under which its sender sent it, which the server knows as well as its id. One that is
not there any more makes these actions pointless: the server says so, and what that means is each type's own rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from chat.client.api import part
from chat.client.errors_of import OUT_OF_TURN
from chat.errors import DeliveryError, Permanent, RateLimited, TargetGone
from chat.queue.payloads import PinMessage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chat.client.api import Api
    from chat.client.numbering import Numbering, SendNumber
    from chat.queue.handlers import Delivery
    from chat.queue.payloads import SendMessage

_EARLY_WAIT_S: Final = 0.2
"""Until a message is tried again that came before those it stands behind."""

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")


class MessageHandlers:
    """Deliver what is about messages."""

    def __init__(self, api: Api, numbering: Numbering) -> None:
        self._api = api
        self._numbering = numbering

    async def send(self, delivery: Delivery) -> Any:
        """Send a message; it is dropped where its room or its space is gone."""
        payload = delivery.payload
        body = {"client_id": delivery.client_id, "content": payload.content}
        if payload.reply_to_id is not None:
            body["reply_to"] = payload.reply_to_id
        path = f"/v1/rooms/{part(payload.room_id)}/messages"
        number = self._numbering.number(payload.room_id, delivery.client_id, delivery.together)
        body |= {"session": number.session, "dev_seq": number.number}
        try:
            answer = await self._api.call("POST", path, body)
        except (Permanent, TargetGone):
            await self._give_back(payload.room_id, delivery.client_id, number)
            raise
        except DeliveryError as error:
            if error.code != OUT_OF_TURN:
                raise
            if self._numbering.is_first(payload.room_id, delivery.client_id):
                self._numbering.begin_anew(payload.room_id)  # the server misses what nobody will send
            raise RateLimited(
                "those before it have not come", retry_after_s=_EARLY_WAIT_S, code=OUT_OF_TURN
            ) from error
        self._numbering.answered(payload.room_id, delivery.client_id)
        return answer

    def was_sent(self, delivery: Delivery) -> None:
        """Take note that the server has a message, though the answer that said so was lost."""
        self._numbering.answered(delivery.payload.room_id, delivery.client_id)

    async def edit(self, delivery: Delivery) -> Any:
        """Edit a message."""
        body = {"client_id": delivery.client_id, "content": delivery.payload.content}
        return await self._api.call("PATCH", _message(delivery), body)

    async def delete(self, delivery: Delivery) -> Any:
        """Delete a message."""
        return await self._api.call("DELETE", _message(delivery), params={"client_id": delivery.client_id})

    async def react(self, delivery: Delivery) -> Any:
        """Put a reaction on a message, or take it away."""
        path = f"{_message(delivery)}/reactions/{part(delivery.payload.emoji)}"
        return await switched(self._api, path, delivery.client_id, is_on=delivery.payload.is_on)

    async def pin(self, delivery: Delivery) -> Any:
        """Pin a message, or take the pin away."""
        payload = delivery.payload
        path = f"/v1/rooms/{part(payload.room_id)}/pins/{part(payload.message_id)}"
        return await switched(self._api, path, delivery.client_id, is_on=isinstance(payload, PinMessage))

    async def _give_back(self, room_id: str, client_id: str, number: SendNumber) -> None:
        """Have the server take the number of a send that will not come, so that those behind it go on."""
        body = {"session": number.session, "dev_seq": number.number}
        try:
            await self._api.call("POST", f"/v1/rooms/{part(room_id)}/void", body)
        except DeliveryError as error:
            _log.info("chat.number_not_given_back", code=error.code)
            self._numbering.begin_anew(room_id)
        else:
            self._numbering.answered(room_id, client_id)


def may_go_along(payload: SendMessage, client_ids: Sequence[str]) -> bool:
    """Tell whether a message may be under way together with those before it; an answer to one of them may not."""
    return payload.reply_to_id not in client_ids


async def switched(api: Api, path: str, client_id: str, *, is_on: bool) -> Any:
    """Have something be there, or not: a PUT and a DELETE of the same address."""
    if is_on:
        return await api.call("PUT", path, {"client_id": client_id})
    return await api.call("DELETE", path, params={"client_id": client_id})


def _message(delivery: Delivery) -> str:
    payload = delivery.payload
    return f"/v1/rooms/{part(payload.room_id)}/messages/{part(payload.message_id)}"
