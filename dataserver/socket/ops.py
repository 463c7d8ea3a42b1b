"""What a client may say over the WebSocket: one structure an op, with the fields of the HTTP body it stands for.

`id` is the client's own number for the command; what has none is answered only if it is refused.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec

from dataserver import chat_wire
from dataserver.chat_wire import ClientId, Id
from dataserver.refusals import InvalidBody
from dataserver.socket.ephemera import Status

Number = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class Op(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="op"):
    """What every command has."""

    id: Number | None = None


class Hello(Op, frozen=True, kw_only=True, tag="hello"):
    """Who the client is; again, with the token that takes the place of an older one."""

    token: Annotated[str, msgspec.Meta(max_length=512)]


class Ping(Op, frozen=True, kw_only=True, tag="ping"):
    """Is anybody there?"""


class Since(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a client knows a stream."""

    epoch: Annotated[str, msgspec.Meta(max_length=64)]
    seq: Number


class Subscribe(Op, frozen=True, kw_only=True, tag="subscribe"):
    """Follow streams, from where the client knows them or from now on."""

    streams: Annotated[dict[Id, Since | None], msgspec.Meta(min_length=1)]


class Unsubscribe(Op, frozen=True, kw_only=True, tag="unsubscribe"):
    """Follow streams no more."""

    streams: Annotated[list[Id], msgspec.Meta(min_length=1)]


class Typing(Op, frozen=True, kw_only=True, tag="typing"):
    """The user types in a room that the client follows."""

    room: Id


class Presence(Op, frozen=True, kw_only=True, tag="presence"):
    """How the user is, as long as this connection is open."""

    status: Status


class Send(chat_wire.SendRequest, frozen=True, kw_only=True, tag_field="op", tag="send"):
    """A new message."""

    id: Number | None = None
    room: Id


class Void(chat_wire.VoidRequest, frozen=True, kw_only=True, tag_field="op", tag="void"):
    """A number of a session whose send will not come."""

    id: Number | None = None
    room: Id


class Edit(chat_wire.EditRequest, frozen=True, kw_only=True, tag_field="op", tag="edit"):
    """Another content for a message."""

    id: Number | None = None
    message: Id


class _OnMessage(chat_wire.ActionRequest, frozen=True, kw_only=True):
    id: Number | None = None
    message: Id


class Delete(_OnMessage, frozen=True, kw_only=True, tag_field="op", tag="delete"):
    """Take a message's content away."""


class React(_OnMessage, frozen=True, kw_only=True, tag_field="op", tag="react"):
    """Put a reaction on a message."""

    emoji: str


class Unreact(_OnMessage, frozen=True, kw_only=True, tag_field="op", tag="unreact"):
    """Take a reaction away."""

    emoji: str


class Pin(_OnMessage, frozen=True, kw_only=True, tag_field="op", tag="pin"):
    """Pin a message to its room."""


class Unpin(_OnMessage, frozen=True, kw_only=True, tag_field="op", tag="unpin"):
    """Take a pin away."""


class Read(Op, frozen=True, kw_only=True, tag="read"):
    """How far the user has read a room."""

    room: Id
    seq: Number


class Act(Op, frozen=True, kw_only=True, tag="act"):
    """What was a client id answered? For who lost an answer."""

    client_id: ClientId


Change = Send | Void | Edit | Delete | React | Unreact | Pin | Unpin | Read | Act
"""What the chat's database is asked."""
Known = Ping | Subscribe | Unsubscribe | Typing | Presence | Change
"""What a client may say once it is known."""
Command = Hello | Known


class _Numbered(msgspec.Struct):
    id: Any = None


_command: Final[msgspec.json.Decoder[Command]] = msgspec.json.Decoder(Command)
_numbered: Final = msgspec.json.Decoder(_Numbered)
_MAX_NUMBER: Final = 2**53


def decoded(text: str | None) -> Command:
    """Return the command that a frame holds.

    Raises:
        InvalidBody: It is no JSON, no op that there is, or its fields are not those of the op; the text says where.
    """
    if text is None:
        raise InvalidBody("the frame is binary; commands are text")
    try:
        return _command.decode(text)
    except msgspec.ValidationError as error:
        raise InvalidBody(str(error)) from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidBody(f"the frame is no valid JSON: {error}") from error


def number_of(text: str | None) -> int | None:
    """Return the number of a command that can't be read otherwise, None if it has none."""
    try:
        found = _numbered.decode(text or "").id
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return found if type(found) is int and 0 <= found <= _MAX_NUMBER else None
