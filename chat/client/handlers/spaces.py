"""What is done to spaces and their members. Who is in a space already, or out of it, is as they were to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chat.client.api import part
from chat.client.handlers.messages import switched
from chat.queue.payloads import MuteUser

if TYPE_CHECKING:
    from chat.client.api import Api
    from chat.queue.handlers import Delivery


class SpaceHandlers:
    """Deliver what is about spaces."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def update(self, delivery: Delivery) -> Any:
        """Change fields of a space's settings, the others stay; where the user named the version seen, only from that one.

        Another version there is a conflict, which holds the space's lane until somebody decides.
        """
        version = delivery.payload.base_version
        headers = {} if version is None else {"if-match": f'"{version}"'}
        body = {"client_id": delivery.client_id, "fields": delivery.payload.fields}
        return await self._api.call("PATCH", _space(delivery), body, headers=headers)

    async def kick(self, delivery: Delivery) -> Any:
        """Remove a member; one who has left is gone as they should be."""
        return await switched(self._api, _member(delivery), delivery.client_id, is_on=False)

    async def mute(self, delivery: Delivery) -> Any:
        """Take a member's voice, or give it back."""
        is_on = isinstance(delivery.payload, MuteUser)
        return await switched(self._api, f"{_member(delivery)}/mute", delivery.client_id, is_on=is_on)

    async def join(self, delivery: Delivery) -> Any:
        """Become a member."""
        return await self._api.call("POST", f"{_space(delivery)}/join", {"client_id": delivery.client_id})

    async def leave(self, delivery: Delivery) -> Any:
        """Be a member no longer."""
        return await self._api.call("POST", f"{_space(delivery)}/leave", {"client_id": delivery.client_id})


def _space(delivery: Delivery) -> str:
    return f"/v1/spaces/{part(delivery.payload.space_id)}"


def _member(delivery: Delivery) -> str:
    return f"{_space(delivery)}/members/{part(delivery.payload.user_id)}"
