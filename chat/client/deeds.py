"""What a user can do: one call each, which returns at once, also without a connection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from chat.queue import payloads

if TYPE_CHECKING:
    import msgspec

    from chat.client.views import ChatSpace
    from chat.queue.receipts import Receipt


class Deeds(ABC):
    """Gives actions to the queue; each is shown at once, and shown no longer if it fails.

    A message is named by its id, or by the client id under which this user sent it.
    """

    @abstractmethod
    def _put(self, payload: msgspec.Struct, client_id: str | None = None) -> Receipt:
        """Give an action to the queue, and show it."""

    def send(
        self, room_id: str, content: str, *, reply_to: str | None = None, client_id: str | None = None
    ) -> Receipt:
        """Send a message; the receipt tells when it is stored here, and when the server has it.

        A program that may do the same twice gives a client id of its own: the same one is the same message.
        """
        payload = payloads.SendMessage(room_id=room_id, content=content, reply_to_id=reply_to)
        return self._put(payload, client_id)

    def edit(self, room_id: str, message_id: str, content: str) -> Receipt:
        """Give a message of one's own another content."""
        return self._put(payloads.EditMessage(room_id=room_id, message_id=message_id, content=content))

    def delete(self, room_id: str, message_id: str) -> Receipt:
        """Delete a message."""
        return self._put(payloads.DeleteMessage(room_id=room_id, message_id=message_id))

    def react(self, room_id: str, message_id: str, emoji: str, *, is_on: bool = True) -> Receipt:
        """Put a reaction on a message, or take it away."""
        return self._put(payloads.React(room_id=room_id, message_id=message_id, emoji=emoji, is_on=is_on))

    def pin(self, room_id: str, message_id: str) -> Receipt:
        """Pin a message to its room."""
        return self._put(payloads.PinMessage(room_id=room_id, message_id=message_id))

    def unpin(self, room_id: str, message_id: str) -> Receipt:
        """Take a pin away."""
        return self._put(payloads.UnpinMessage(room_id=room_id, message_id=message_id))

    def update_profile(self, **fields: Any) -> Receipt:
        """Change parts of one's profile; None takes one away."""
        return self._put(payloads.UpdateProfile(fields=fields))

    def update_space(
        self, space_id: str, fields: dict[str, Any], *, seen: ChatSpace | None = None
    ) -> Receipt:
        """Change settings of a space; the others stay.

        Args:
            space_id: Which one.
            fields: The settings that change.
            seen: The space as the user saw it. What somebody else changed since then is not overwritten by an older
                change: of a field that both changed the later counts, and `SpaceConflict` tells the other. Without it
                the last one to arrive counts.
        """
        base = None if seen is None else {name: seen.settings.get(name) for name in fields}
        version = None if seen is None else seen.version
        return self._put(
            payloads.UpdateSpace(space_id=space_id, fields=fields, base_version=version, base=base)
        )

    def join(self, space_id: str) -> Receipt:
        """Become a member of a space."""
        return self._put(payloads.JoinSpace(space_id=space_id))

    def leave(self, space_id: str) -> Receipt:
        """Be a member of a space no longer."""
        return self._put(payloads.LeaveSpace(space_id=space_id))

    def kick(self, space_id: str, user_id: str) -> Receipt:
        """Remove a member."""
        return self._put(payloads.KickUser(space_id=space_id, user_id=user_id))

    def mute(self, space_id: str, user_id: str) -> Receipt:
        """Let a member write no more."""
        return self._put(payloads.MuteUser(space_id=space_id, user_id=user_id))

    def unmute(self, space_id: str, user_id: str) -> Receipt:
        """Let a member write again."""
        return self._put(payloads.UnmuteUser(space_id=space_id, user_id=user_id))
