"""A service whose errors hold what no caller may see: paths, keys, other people's values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from typing_extensions import override

from workers import MethodService, PortableError, Task, method

SECRETS = ("/srv/private/ledger.db", "hunter2", "4111-1111-1111-1111")


class Declined(PortableError):
    """Raised on purpose."""


class Account(msgspec.Struct, frozen=True):
    number: int
    name: str


class UserPath:
    """What can't be encoded."""

    @override
    def __repr__(self) -> str:
        return SECRETS[0]


class LeakyService(MethodService):
    """Fails in every way, with secrets in its hands."""

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__(options)
        if options.get("is_declined"):
            raise Declined("there is no account")
        if options.get("is_missing"):
            Path(SECRETS[0]).read_text(encoding="utf-8")

    @method()
    def missing_file(self, params: None, task: Task) -> None:  # noqa: ARG002 - every method gets one
        Path(SECRETS[0]).read_text(encoding="utf-8")

    @method()
    def failed_query(self, params: str, task: Task) -> None:  # noqa: ARG002
        raise ValueError(f"UNIQUE constraint failed: card.number = {SECRETS[2]}, asked {params}")

    @method()
    def wrapped(self, params: None, task: Task) -> None:  # noqa: ARG002
        try:
            raise KeyError(SECRETS[1])  # noqa: TRY301 - what it came of
        except KeyError as error:
            raise Declined("it was declined", code=7) from error

    @method()
    def wrong_result(self, params: None, task: Task) -> Account:  # noqa: ARG002
        return {"number": SECRETS[1], "name": SECRETS[2]}  # type: ignore[return-value]  # that is the point

    @method()
    def unencodable(self, params: None, task: Task) -> Account:  # noqa: ARG002
        return UserPath()  # type: ignore[return-value]  # that is the point

    @method()
    def takes_account(self, params: Account, task: Task) -> None:
        """Take well-formed parameters only."""

    @method()
    def group(self, params: None, task: Task) -> None:  # noqa: ARG002
        raise ExceptionGroup(SECRETS[0], [OSError(SECRETS[1])])

    @method()
    def named_after(self, params: None, task: Task) -> None:  # noqa: ARG002
        error = RuntimeError("outer")
        error.add_note(SECRETS[1])
        raise error
