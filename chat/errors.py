"""What can go wrong in the queues, told by type; nobody has to read a text.

ChatError
├── QueueError                what a call to a queue raises
│   ├── QueueFull             as many actions wait as may; `limit` and `size`
│   ├── ClientIdConflict      the id was used for another payload
│   ├── UnknownActionType     no such type was registered
│   ├── InvalidAction         the action can't be stored as it is
│   ├── ActionNotFound        the queue holds no action of that id
│   ├── NotPossible           the action is past the point where this can be done; `state`
│   ├── QueueClosed           the queue is closed, or closes
│   └── NotAQueue             the file that was to be looked at is not there, or is something else
├── DeliveryError             what a handler raises about one try; `code` and `status` are the server's
│   ├── Unreachable           no contact was made; costs no attempt
│   ├── AnswerLost            the server was called, and no answer came
│   ├── Transient             the server failed; costs an attempt
│   ├── RateLimited           too many calls; `retry_after_s`; costs no attempt
│   ├── AuthExpired           the account has to log in again; its lanes wait
│   ├── Permanent             the server refuses for good
│   │   └── Conflict          somebody else changed the same thing meanwhile
│   └── TargetGone            what the action is about is not there any more
└── NotDelivered              what awaiting a receipt raises; `failure` says why
    ├── ActionFailed          given up; it can be tried again by hand
    ├── ActionExpired         it had become pointless
    └── ActionCancelled       somebody took it back

A failure that is stored is a `Failure`, a value; `Failure.of` makes one of a `DeliveryError`.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import msgspec

FailureKind = Literal[
    "unreachable", "answer_lost", "transient", "rate", "auth", "permanent", "conflict", "target_gone"
]
NO_HANDLER = "no_handler"
_KINDS = frozenset(get_args(FailureKind))
_MOST_STATUS = 999


class ChatError(Exception):
    """The root."""


class QueueError(ChatError):
    """The root of what a call to a queue raises."""


class QueueFull(QueueError):
    """The queue holds `size` unfinished actions of `limit`; nothing was stored, try again when some are done."""

    def __init__(self, *, limit: int, size: int) -> None:
        super().__init__("Action queue is full. Please try again later.")
        self.limit = limit
        self.size = size


class ClientIdConflict(QueueError):
    """An action of this `client_id` with another payload is there; make a new id for another action."""

    def __init__(self, client_id: str) -> None:
        super().__init__(f"the client id {client_id} belongs to an action with another payload")
        self.client_id = client_id


class UnknownActionType(QueueError):
    """No type of that name or payload was registered; register it first."""


class InvalidAction(QueueError):
    """The action can't be stored as it is; the message says why."""


class ActionNotFound(QueueError):
    """The queue holds no action of that client id: it was never enqueued here, or was pruned after it ended."""


class NotPossible(QueueError):
    """The action is past the point where this can be done; `state` says where it stands."""

    def __init__(self, message: str, *, state: str) -> None:
        super().__init__(message)
        self.state = state


class QueueClosed(QueueError):
    """The queue is closed or closes; what was not stored has to be enqueued again."""


class NotAQueue(QueueError):
    """The file that was to be looked at is not there, or is something else; nothing was made or changed."""


class DeliveryError(ChatError):
    """One try to deliver an action failed; handlers raise a member of this tree, never this class itself.

    `code` is the server's own name for what happened and `status` its HTTP status, where there is one; `details` is
    what else it said, for a handler that can do something about it.
    """

    kind: FailureKind = "transient"

    def __init__(self, message: str = "", *, code: str = "", status: int | None = None) -> None:
        super().__init__(message or code or self.kind)
        self.code = code or self.kind
        self.status = status
        self.details: dict[str, Any] = {}


class Unreachable(DeliveryError):
    """No contact was made with the server, which therefore did nothing; the action waits for a connection."""

    kind: FailureKind = "unreachable"


class AnswerLost(DeliveryError):
    """The server was called and no answer came, so nobody knows what it did; it is asked before another call."""

    kind: FailureKind = "answer_lost"


class Transient(DeliveryError):
    """The server failed in a way that may pass; the action is tried again after a while."""

    kind: FailureKind = "transient"


class RateLimited(DeliveryError):
    """The server has had too many calls; the action is tried again after `retry_after_s` seconds."""

    kind: FailureKind = "rate"

    def __init__(
        self, message: str = "", *, retry_after_s: float, code: str = "", status: int | None = None
    ) -> None:
        super().__init__(message, code=code, status=status)
        self.retry_after_s = retry_after_s


class AuthExpired(DeliveryError):
    """The account's session ended; all its actions are kept and wait until `resume_account`."""

    kind: FailureKind = "auth"


class Permanent(DeliveryError):
    """The server refuses, and would refuse again; the action is given up."""

    kind: FailureKind = "permanent"


class Conflict(Permanent):
    """Somebody else changed the same thing meanwhile, and the server did not overwrite it."""

    kind: FailureKind = "conflict"


class TargetGone(DeliveryError):
    """What the action is about does not exist any more; whether that is a success depends on its type."""

    kind: FailureKind = "target_gone"


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a try failed, as it is stored and shown."""

    kind: FailureKind
    code: str
    message: str = ""
    status: int | None = None
    retry_after_s: float | None = None

    @classmethod
    def of(cls, error: DeliveryError) -> Failure:
        """Return `error` as a value that can be stored, whatever the handler has put into it."""
        return cls(
            kind=error.kind if error.kind in _KINDS else "transient",
            code=str(error.code),
            message=str(error),
            status=_status(error.status),
            retry_after_s=_seconds(error.retry_after_s) if isinstance(error, RateLimited) else None,
        )

    @property
    def text(self) -> str:
        """The code or status, and what the server said."""
        name = str(self.status) if self.status is not None else self.code
        return f"{name}: {self.message}" if self.message not in {"", name, self.code} else name


def _status(given: Any) -> int | None:
    """Return an HTTP status, given perhaps as a text; None if it is none."""
    try:
        status = int(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return status if 0 < status <= _MOST_STATUS else None


def _seconds(given: Any) -> float | None:
    """Return a number of seconds, given perhaps as the text of a header; None if it is none."""
    try:
        seconds = float(given)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) else None


class NotDelivered(ChatError):
    """The action of `client_id` ended without success, because of `failure` if there was one."""

    def __init__(self, client_id: str, failure: Failure | None = None) -> None:
        super().__init__(f"{client_id}: {failure.text}" if failure else client_id)
        self.client_id = client_id
        self.failure = failure


class ActionFailed(NotDelivered):
    """The action was given up; `retry` tries it again."""


class ActionExpired(NotDelivered):
    """The action had become pointless before it could be delivered."""


class ActionCancelled(NotDelivered):
    """The action was taken back before it was delivered."""
