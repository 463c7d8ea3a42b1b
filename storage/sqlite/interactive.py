"""Transactions that a caller holds open between calls: the writer's side.

At most one is open on a database. Whoever holds it back is not this module's business (`storage.transactions` leases
it); here it either is open or is gone, and any other write to the same file ends it, so that nothing strange ever
joins it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage.errors import TransactionLost
from storage.sqlite import functions

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.sqlite.writer_connection import WriterConnection
    from workers import Call

_GONE = "the transaction is gone, and nothing of it was written"


class Interactive:
    """The open transactions of one writing worker, by the path of their file.

    Methods and their parameters, after `path` and the transaction's `number`: `transaction_begin`, `transaction_commit`
    and `transaction_roll_back` have no more, `transaction_execute` has `sql, params`, `transaction_function` the name of
    a function and its `args`, and `transaction_mark`, `transaction_keep` and `transaction_undo` have the `depth` of a
    savepoint.
    """

    def __init__(self, file_at: Callable[[str], WriterConnection]) -> None:
        self._file_at = file_at
        self._open: dict[str, tuple[int, WriterConnection]] = {}
        self.methods: dict[str, Callable[[Call], Any]] = {
            "transaction_begin": self._begin,
            "transaction_execute": self._execute,
            "transaction_function": self._function,
            "transaction_mark": self._mark,
            "transaction_keep": self._keep,
            "transaction_undo": self._undo,
            "transaction_roll_back": self._roll_back,
        }

    def end(self, path: str) -> None:
        """Roll back what is open on `path`, if anything is."""
        if self._open:
            held = self._open.pop(path, None)
            if held is not None:
                held[1].roll_back()

    def _begin(self, call: Call) -> None:
        path, number = call.params
        self.end(path)
        file = self._file_at(path)
        file.begin(deadline=call.deadline)
        self._open[path] = (number, file)

    def _execute(self, call: Call) -> list[Any]:
        path, number, sql, params = call.params
        file = self._of(path, number)
        outcome: list[Any] = self._kept_whole(call, file, lambda: file.statements.execute(sql, params))
        return outcome

    def _function(self, call: Call) -> Any:
        path, number, name, args = call.params
        file = self._of(path, number)
        return self._kept_whole(call, file, lambda: functions.run(file, name, args))

    def _kept_whole(self, call: Call, file: WriterConnection, act: Callable[[], Any]) -> Any:
        """Do `act` inside the transaction on `file`; if it fails, nothing of it is left and the transaction goes on."""
        file.watch.begin(call.deadline)
        file.set_savepoint("statement")
        try:
            result = act()
        except Exception as error:
            if not file.undo_to_savepoint("statement"):
                self.end(call.params[0])
                raise TransactionLost(f"{_GONE}: a statement ended it") from error
            raise
        file.release_savepoint("statement")
        return result

    def _mark(self, call: Call) -> None:
        path, number, depth = call.params
        self._of(path, number).set_savepoint(_at(depth))

    def _keep(self, call: Call) -> None:
        path, number, depth = call.params
        self._of(path, number).release_savepoint(_at(depth))

    def _undo(self, call: Call) -> None:
        path, number, depth = call.params
        if not self._of(path, number).undo_to_savepoint(_at(depth)):
            self.end(path)
            raise TransactionLost(_GONE)

    def commit(self, call: Call) -> WriterConnection:
        """Make a transaction durable and return the file that it wrote.

        Raises:
            TransactionLost: It is gone.
            StorageError, apsw.Error: It could not be written; nothing of it was, but for `WriteOutcomeUnknown`.
        """
        path, number = call.params
        file = self._of(path, number)
        file.watch.begin(call.deadline)
        del self._open[path]
        file.commit()
        return file

    def _roll_back(self, call: Call) -> None:
        path, number = call.params
        if self._open.get(path, (0,))[0] == number:
            self.end(path)

    def _of(self, path: str, number: int) -> WriterConnection:
        held = self._open.get(path)
        if held is not None and held[0] == number:
            file = held[1]
            if self._file_at(path) is file and file.connection.in_transaction:
                return file
            del self._open[path]
        raise TransactionLost(_GONE)


def _at(depth: int) -> str:
    """Return the name of the savepoint that a caller set at `depth`."""
    return f"depth_{int(depth)}"
