"""Sends, edits, deletions, reactions and pins.

A message is named by the client id under which its sender sent it, which the server knows as well as its id. One that is
not there any more makes these actions pointless: the server says so, and what that means is each type's own rule.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from chat.client.api import part
from chat.client.errors_of import OUT_OF_TURN
from chat.errors import DeliveryError, Permanent, TargetGone
from chat.queue.payloads import PinMessage

if TYPE_CHECKING:
    from chat.client.api import Api
    from chat.client.numbering import Numbering, SendNumber
    from chat.queue.handlers import Delivery

_MOST_VOID_COUNT: Final = 100


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
        number = self._numbering.number(payload.room_id, delivery.client_id)
        body |= {"session": number.session, "dev_seq": number.number}
        try:
            return await self._api.call("POST", path, body)
        except (Permanent, TargetGone):
            with suppress(
                DeliveryError
            ):  # the next one would wait for this number, and asks for it itself then
                await self._void(payload.room_id, number)
            raise
        except DeliveryError as error:
            if error.code != OUT_OF_TURN:
                raise
            expected = int(error.details.get("expected", number.number))
        for missing in range(expected, number.number)[:_MOST_VOID_COUNT]:
            await self._void(payload.room_id, number._replace(number=missing))
        return await self._api.call("POST", path, body)

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

    async def _void(self, room_id: str, number: SendNumber) -> None:
        """Take the number of a send that will not come, so that those behind it go on."""
        body = {"session": number.session, "dev_seq": number.number}
        await self._api.call("POST", f"/v1/rooms/{part(room_id)}/void", body)


async def switched(api: Api, path: str, client_id: str, *, is_on: bool) -> Any:
    """Have something be there, or not: a PUT and a DELETE of the same address."""
    if is_on:
        return await api.call("PUT", path, {"client_id": client_id})
    return await api.call("DELETE", path, params={"client_id": client_id})


def _message(delivery: Delivery) -> str:
    payload = delivery.payload
    return f"/v1/rooms/{part(payload.room_id)}/messages/{part(payload.message_id)}"
