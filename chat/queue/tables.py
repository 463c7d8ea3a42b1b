"""The queue's statements by name, on the queue's database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chat.errors import Failure
from chat.queue.states import State
from chat.statement_texts import for_rows
from storage import ResultTooLarge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage import Database, Written

    Params = Sequence[Any]

ROW_COUNTS = (64, 16, 4, 1)
"""For so many rows at once there is an `add_actions`, with the number behind its name: any number is a few of these."""
BATCH_BYTES = 4 * 1024 * 1024
"""With so many bytes of payloads a transaction takes no more; the writer refuses what is much larger."""
STATES = {str(state): state for state in State}
"""By the name that rows have; quicker than asking the enum."""

_encode = msgspec.json.Encoder().encode


class Tables:
    """Runs the queue's statements; one call is one transaction, on disk when it returns."""

    def __init__(self, database: Database, statements: Mapping[str, str]) -> None:
        self._database = database
        self._sql = dict(statements)
        for count in ROW_COUNTS:
            self._sql[f"add_actions {count}"] = for_rows(statements["add_actions"], count)

    async def write(self, name: str, params: Params = ()) -> Written:
        """Run one statement that writes.

        Raises:
            StorageError: Nothing was written, or (`WriteOutcomeUnknown`) nobody knows.
        """
        return await self._database.execute(self._sql[name], params)

    async def write_all(self, named: Sequence[tuple[str, Params]]) -> list[Written]:
        """Run statements in order, all or none of them.

        Raises:
            StorageError: As `write`; `ConstraintViolated` where something expected did not hold.
        """
        sql = self._sql
        return await self._database.execute_batch([(sql[name], params) for name, params in named])

    async def read(self, name: str, params: Params = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a statement that reads.

        Raises:
            StorageError: They can't be read now.
        """
        return await self._database.query(self._sql[name], params)

    async def read_some(self, name: str, params: Params, count: int) -> list[tuple[Any, ...]]:
        """Return the first rows of a statement that reads; its last parameter, after `params`, is how many at most.

        They are `count`, or fewer where so many are too large to be read together; none only if there are none.

        Raises:
            StorageError: As `read`.
        """
        while True:
            try:
                return await self.read(name, (*params, count))
            except ResultTooLarge:
                if count == 1:
                    raise
                count //= 2


def json_text(value: Any) -> str:
    """Return `value` as a parameter for `json_each`."""
    return _encode(value).decode()


def failure_of(error: str | None) -> Failure | None:
    """Return the failure that is stored as `error`."""
    return None if error is None else msgspec.json.decode(error, type=Failure)
