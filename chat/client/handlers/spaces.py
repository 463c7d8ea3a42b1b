"""What is done to spaces and their members. Who is in a space already, or out of it, is as they were to be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from chat.client.api import part
from chat.client.errors_of import VERSION_CONFLICT
from chat.client.handlers.messages import switched
from chat.client.said import as_told
from chat.errors import Conflict, Transient
from chat.queue.payloads import MuteUser
from chat.sync.space_merge import SpaceSettings, rest_of

if TYPE_CHECKING:
    from chat.client.api import Api
    from chat.queue.handlers import Delivery
    from chat.sync.merge import FieldConflict

_TRIES: Final = 5
"""Of one delivery to be the next change of a space's settings."""


class SpaceHandlers:
    """Deliver what is about spaces."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def update(self, delivery: Delivery) -> Any:
        """Change fields of a space's settings, the others stay; where the user named the version seen, only from that one.

        Another version there is a conflict. It is settled field by field where the action says what the fields were;
        otherwise it holds the space's lane until somebody decides.
        """
        payload = delivery.payload
        fields, version = payload.fields, payload.base_version
        conflicts: list[FieldConflict] = []
        for _ in range(_TRIES):
            headers = {} if version is None else {"if-match": f'"{version}"'}
            body = {"client_id": delivery.client_id, "fields": fields}
            try:
                answer = await self._api.call("PATCH", _space(delivery), body, headers=headers)
            except Conflict as error:
                if error.code != VERSION_CONFLICT or payload.base is None:
                    raise
                theirs = as_told(error.details.get("current"), SpaceSettings)
                base = payload.base
            else:
                return {**answer, "conflicts": msgspec.to_builtins(conflicts)} if conflicts else answer
            rest = rest_of(payload.fields, base, theirs, at_ms=delivery.created_at_ms)
            fields, version, conflicts = rest.fields, theirs.version, list(rest.conflicts)
            if not fields:
                return {"version": version, "conflicts": msgspec.to_builtins(conflicts)}
        raise Transient("the settings are changed all the time", code=VERSION_CONFLICT)

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
