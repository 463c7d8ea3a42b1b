"""Group commit on one database file: many callers' writes in one transaction, each answered as if it had come alone.

The invariant: a request is answered only after the COMMIT (with `synchronous=FULL`: after the sync of the WAL) of a
transaction that holds it, and it gets the outcome that it would have had alone, in the order of arrival; one that
fails has left nothing behind. There is no waiting window: a batch is what arrived while the last commit ran.

What breaks a shared transaction (each was tried): `OR ROLLBACK`, `RAISE(ROLLBACK)`, an interrupt, a full disk and an
I/O error roll everything back, and what ran next would be in autocommit; `OR FAIL` keeps half a statement; a violated
deferred key fails only at COMMIT, or is mended by a neighbour. So after each failed statement the transaction and the
change counter are looked at, after each request the deferred keys. A transaction that is gone or spoilt is rolled back
and its requests, none of them answered, run again in the groups that `batches.parts` names.

Requests of several statements have a SAVEPOINT (5 us); the others need none.

Figures (2026-11-23, 2 cores shared with a load of 6, driven directly): the writer spends 2.3 us on a small INSERT and 16 us
on a transaction, besides the sync. On a disk whose fdatasync took 0.5 to 4 ms, batches of 1, 10, 100 and 1,000 wrote
0.5k, 7.6k, 50k and 74k/s; without a disk (tmpfs) 10k, 76k, 109k and 111k/s.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

import apsw

from storage.earlier import refers, resolved
from storage.errors import StorageError, WriteTimedOut
from storage.sqlite import functions
from storage.sqlite.batches import parts
from storage.sqlite.writer_connection import write_failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.sqlite.statements import HeavyTexts
    from storage.sqlite.writer_connection import WriterConnection
    from workers import Call

EXECUTE = "execute"
EXECUTE_BATCH = "execute_batch"
FUNCTION = "function"
SHARING = frozenset({EXECUTE, EXECUTE_BATCH, FUNCTION})
"""The methods whose requests may share a transaction."""

_REQUEST = "request"
"""The savepoint of a request of several statements, or of a function."""
_LOCAL = (
    apsw.AuthError,
    apsw.BindingsError,
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.SQLError,
    apsw.TooBigError,
    StorageError,
)
"""Failures of one statement that say nothing about the transaction around it."""


class _Broken(Exception):
    """The shared transaction is of no use; `culprit` is the place of the request that broke it, None if unknown."""

    def __init__(self, culprit: int | None) -> None:
        super().__init__(culprit)
        self.culprit = culprit


def settle(file: WriterConnection, calls: Sequence[Call], heavy: HeavyTexts) -> list[Any]:
    """Run `calls` together, replaying what has to be, and return one outcome each, in order.

    An outcome is what `WriteStatements.execute` returns, a list of such for a request of several statements, or the
    error of a request that left nothing behind (`WriteOutcomeUnknown`: that may have).
    """
    outcomes: list[Any] = [None] * len(calls)
    waiting: deque[Sequence[int]] = deque([range(len(calls))])
    while waiting:
        group = _in_time(waiting.popleft(), calls, outcomes)
        if len(group) == 1:
            outcomes[group[0]] = _alone(file, calls[group[0]], heavy)
        elif group:
            try:
                answers = _together(file, [calls[place] for place in group], heavy)
            except _Broken as broken:
                waiting.extendleft(reversed(parts(group, broken.culprit)))
            else:
                for place, answer in zip(group, answers, strict=True):
                    outcomes[place] = answer
    return outcomes


def texts(call: Call) -> list[str]:
    """Return the statements of `call`, or the name of its function."""
    return [sql for sql, _ in call.params[1]] if call.method == EXECUTE_BATCH else [call.params[1]]


def _in_time(group: Sequence[int], calls: Sequence[Call], outcomes: list[Any]) -> Sequence[int]:
    """Return those of `group` whose deadline has not passed; the others are answered in `outcomes`."""
    now = time.monotonic()
    late = {place for place in group if 0.0 < calls[place].deadline <= now}
    for place in late:
        outcomes[place] = WriteTimedOut("the deadline passed before the write began; nothing was written")
    return [place for place in group if place not in late] if late else group


def _alone(file: WriterConnection, call: Call, heavy: HeavyTexts) -> Any:
    try:
        file.begin(deadline=call.deadline)
        outcome = _perform(file, call)
        file.commit()
    except Exception as error:  # noqa: BLE001 - a malformed request must not cost its neighbours their answers
        file.roll_back()
        return write_failure(error)
    if heavy and not file.watch.is_heavy:
        for sql in texts(call):
            heavy.discard(sql)
    return outcome


def _together(file: WriterConnection, calls: Sequence[Call], heavy: HeavyTexts) -> list[Any]:
    try:
        file.begin()
    except apsw.Error as error:
        return [write_failure(error) for _ in calls]
    outcomes = []
    try:
        for place, call in enumerate(calls):
            try:
                outcomes.append(_perform_in_company(file, call))
            except Exception as error:  # alone, even a malformed one gets its answer
                if file.watch.is_heavy:
                    heavy.add(call.params[1] if call.method == FUNCTION else file.statements.running)
                undone = (
                    file.statements.left_nothing()
                    if call.method == EXECUTE
                    else file.undo_to_savepoint(_REQUEST)
                )
                if not undone or not isinstance(error, _LOCAL):
                    raise _Broken(place) from error
                outcomes.append(write_failure(error))
            else:
                if file.has_dangling_keys():
                    raise _Broken(place)  # alone, its COMMIT would fail; here a neighbour might mend it
    except _Broken:
        file.roll_back()
        raise
    try:
        file.commit()
    except (apsw.ConstraintError, apsw.FullError) as error:
        raise _Broken(None) from error
    except (apsw.Error, StorageError) as error:
        return [write_failure(error) for _ in calls]
    return outcomes


def _perform_in_company(file: WriterConnection, call: Call) -> Any:
    file.watch.calls_count = 0
    if call.method == EXECUTE:
        return file.statements.execute(call.params[1], call.params[2])
    file.set_savepoint(_REQUEST)
    outcome = _perform(file, call)
    file.release_savepoint(_REQUEST)
    return outcome


def _perform(file: WriterConnection, call: Call) -> Any:
    if call.method == EXECUTE:
        return file.statements.execute(call.params[1], call.params[2])
    if call.method == FUNCTION:
        return functions.run(file, call.params[1], call.params[2])
    outcomes: list[Any] = []
    for sql, params in call.params[1]:
        file.watch.require_time()
        values = resolved(params, outcomes) if refers(params) else params
        outcomes.append(file.statements.execute(sql, values))
    return outcomes
