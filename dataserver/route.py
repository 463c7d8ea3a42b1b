"""What a route is: an address and a method, who may use it, what it reads and answers, and who handles it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dataserver.answers import JSON, AnyAnswer
from dataserver.auth import Role

if TYPE_CHECKING:
    from dataserver.exchange import Exchange

Handler = Callable[["Exchange"], Awaitable[AnyAnswer]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Parameter:
    """A parameter of the query, or a header, for the description of the interface: the handler is who checks it."""

    name: str
    says: str
    type: Literal["string", "integer"] = "string"
    least: int | None = None
    """The least number, or how many characters at least."""
    most: int | None = None
    one_of: tuple[str, ...] = ()
    pattern: str | None = None
    is_required: bool = False
    place: Literal["query", "header"] = "query"


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One method of one address."""

    method: Literal["GET", "PUT", "POST", "PATCH", "DELETE"]
    path: str
    """With its parameters in braces."""
    role: Role | Literal["user"] | None
    """The least role that may use it; `user` is whoever is logged in to the chat; None lets everybody in."""
    handle: Handler
    says: str
    """What it does, in one sentence."""
    reads: Any = None
    """The type of the body; None where no body is read."""
    reads_media: tuple[bytes, ...] = ()
    """What the body may be, where it is a stream rather than JSON of one type."""
    answers: Any = None
    """The type of the answer's body, where it is JSON of one type."""
    media: tuple[bytes, ...] = (JSON,)
    """What the answer may be."""
    status: int = 200
    also: tuple[int, ...] = ()
    """Further statuses of success: 200 for what was done before, 202 for what waits, 304 for what is known."""
    parameters: tuple[Parameter, ...] = ()
    refuses: tuple[type[Exception], ...] = ()
    """What it may refuse beyond what every route may."""
    open_ended: bool = False
    """Whether further query parameters are filters."""

    @property
    def label(self) -> str:
        """The route's name in metrics."""
        return f"{self.method} {self.path}"
