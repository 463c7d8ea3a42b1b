"""Why the chat refuses, told by type; the wire's code and class follow from it.

ChatRefusal
├── UnknownSession        no such token, or it has ended: log in again
├── WrongPassword         name and password do not belong together
├── NotPermitted          the user may not do this here; `needed` is the least role
│   └── Muted             the user may not write until `until_ms`
├── NotFound              no such thing, or none that the user may know of; `what`
│   └── Gone              it was there, and was deleted
├── InvalidValue          a value breaks its rule; `field`
├── Taken                 the name belongs to something else
├── VersionConflict       somebody changed it meanwhile; `current` is what is there now
├── ClientIdReused        the client id belongs to another action of this user
├── OutOfTurn             an earlier send of the device is missing; `expected` is its number
├── LimitReached          as many as there may be; `limit`
└── TooOften              too many calls; `retry_after_s`
"""

from __future__ import annotations

from typing import Any

from chat.errors import ChatError


class ChatRefusal(ChatError):
    """What was asked was not done; the text is for the user and names what the user sent."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.details = details


class UnknownSession(ChatRefusal):
    """The token is unknown or its session has ended; log in again."""


class WrongPassword(ChatRefusal):
    """Name and password do not belong together."""


class NotPermitted(ChatRefusal):
    """The user may not do this here; the least role that may is in `details`."""


class Muted(NotPermitted):
    """The user may not write in this space until `until_ms`."""


class NotFound(ChatRefusal):
    """There is no such thing, or none that the user may know of."""


class Gone(NotFound):
    """It was there, and was deleted; doing it again will not help."""


class InvalidValue(ChatRefusal):
    """A value breaks its rule; `field` names it."""


class Taken(ChatRefusal):
    """The name belongs to something else; choose another one."""


class VersionConflict(ChatRefusal):
    """Somebody changed it meanwhile: merge with `current`, and send that with its version."""


class ClientIdReused(ChatRefusal):
    """The client id belongs to another action of this user; make a new one for a new action."""


class OutOfTurn(ChatRefusal):
    """A send that the device made before this one has not come; send number `expected` first."""


class LimitReached(ChatRefusal):
    """There are as many as there may be."""


class TooOften(ChatRefusal):
    """Too many calls; wait `retry_after_s` seconds."""
