"""Which function delivers each type of action, and the question that settles what became of a lost answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chat.client.api import part
from chat.errors import AuthExpired, TargetGone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from chat.client.api import Api
    from chat.client.handlers.account import AccountHandlers
    from chat.client.handlers.messages import MessageHandlers
    from chat.client.handlers.spaces import SpaceHandlers
    from chat.queue.handlers import Delivery


class HttpTransport:
    """Delivers actions of all built-in types over HTTP; see `Transport`."""

    def __init__(
        self, api: Api, messages: MessageHandlers, spaces: SpaceHandlers, account: AccountHandlers
    ) -> None:
        self._api = api
        self._messages = messages
        self.table: dict[str, Callable[[Delivery], Awaitable[Any]]] = {
            SEND: messages.send,
            "edit-message": messages.edit,
            "delete-message": messages.delete,
            "reaction": messages.react,
            "pin-message": messages.pin,
            "unpin-message": messages.pin,
            "save-user-config": account.save_settings,
            "update-profile": account.update_profile,
            "sync-space-keys": account.sync_keys,
            "update-space": spaces.update,
            "kick-user": spaces.kick,
            "mute-user": spaces.mute,
            "unmute-user": spaces.mute,
            "join-space": spaces.join,
            "leave-space": spaces.leave,
        }

    async def deliver(self, delivery: Delivery) -> Any:
        """See `Transport`; the actions of another user than is logged in wait for that one.

        Raises:
            DeliveryError: As each handler.
        """
        if delivery.account != self._api.login.user_id:
            raise AuthExpired("another user is logged in", code="other_user")
        return await self.table[delivery.type](delivery)

    async def ask(self, delivery: Delivery) -> Any:
        """See `Transport`.

        Of settings and space keys it is not asked: doing them again brings this device up to date too, and the server
        answers one it has done with what it did.
        """
        if delivery.type in _REPEATED:
            return None
        try:
            found = await self._api.call("GET", f"/v1/actions/{part(delivery.client_id)}")
        except TargetGone:
            return None
        if delivery.type == SEND:
            self._messages.was_sent(delivery)
        return found["result"]


SEND = "send-message"
_REPEATED = frozenset({"save-user-config", "sync-space-keys"})
