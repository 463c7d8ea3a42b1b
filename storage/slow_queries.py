"""The reads and writes that took long: the latest of them, with their plans and without the values of parameters.

A pool tells of a call that took `slow_query_s` or more in its worker, whatever came of it. Its plan is asked for
afterwards, once for each text, by a task that nobody waits for. The log has each text at its 1st, 2nd, 4th, 8th... time.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import anyio
import structlog

from storage.errors import StorageError
from storage.queries import EXPLAIN

if TYPE_CHECKING:
    from storage.queries import Queries
    from storage.query_plans import QueryPlan
    from workers import SlowCall

MAX_KEPT_COUNT = 64
MAX_SQL_CHARS = 2_000
"""A longer text is cut where it is kept."""
_PLAN_S = 1.0

_log: structlog.stdlib.BoundLogger = structlog.get_logger("storage")


@dataclass(slots=True)
class SlowQuery:
    """A text that was slow: its last run, and how often that was so."""

    database: str
    sql: str
    queue_ms: float
    """All the time outside the worker."""
    run_ms: float
    size_bytes: int
    """Of the answer; 0 where there was none."""
    at: float
    """Monotonic."""
    count: int = 1
    worst_ms: float = 0.0
    plan: QueryPlan | None = None
    """None until it is known, and for what has none."""


def statement_in(method: str, params: Any) -> tuple[str, Any]:
    """Return the statement that a call runs, and its parameters with their values left out.

    What is no statement is named by its method: a function sent to the writer, a piece of a stream, a migration.
    """
    match method, params:
        case (("json" | "rows" | "cost" | "transaction_execute"), [_, _, str(sql), values, *_]):
            return sql, _blank(values)
        case (("snapshot_json" | "snapshot_rows" | "execute"), [_, str(sql), values, *_]):
            return sql, _blank(values)
        case "execute_batch", [_, [[str(sql), values], *more]]:
            return (sql if not more else f"{sql} -- and {len(more)} more"), _blank(values)
        case "function", [_, str(name), _]:
            return f"-- function {name}", None
        case _:
            return f"-- {method}", None


def _blank(values: Any) -> Any:
    return dict.fromkeys(values) if isinstance(values, dict) else [None] * len(values)


class SlowQueries:
    """The slow reads and writes of one storage; `run` has to run beside its pools."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], SlowQuery] = OrderedDict()
        self._unexplained: OrderedDict[tuple[str, str], tuple[str, str, Any]] = OrderedDict()
        self.faces: WeakValueDictionary[str, Queries] = WeakValueDictionary()
        """The databases that are in use, by path: they are asked for plans."""
        self._stirred = anyio.Event()

    def latest(self) -> list[SlowQuery]:
        """Return those that are kept, the latest first."""
        return list(reversed(self._kept.values()))

    def add(self, call: SlowCall) -> None:
        """Take note of a call that was slow."""
        if call.params is None or not call.tenant:
            return
        sql, values = statement_in(call.method, call.params)
        if sql.startswith(EXPLAIN):
            return  # it would be explained in its turn
        key = (call.tenant, sql[:MAX_SQL_CHARS])
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = SlowQuery(
                database=call.tenant.rpartition("/")[2].removesuffix(".db"),
                sql=key[1],
                queue_ms=0.0,
                run_ms=0.0,
                size_bytes=0,
                at=0.0,
                count=0,
            )
            if len(self._kept) > MAX_KEPT_COUNT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        kept.queue_ms, kept.run_ms = call.wait_us / 1000, call.run_us / 1000
        kept.worst_ms = max(kept.worst_ms, kept.run_ms)
        kept.size_bytes = call.size_bytes
        kept.at = time.monotonic()
        kept.count += 1
        if kept.count & (kept.count - 1) == 0:
            self._unexplained[key] = (call.tenant, sql, values)
            while len(self._unexplained) > MAX_KEPT_COUNT:
                self._unexplained.popitem(last=False)
            self._stirred.set()

    async def run(self) -> None:
        """Find the plan of what was slow, and log it; for ever."""
        while True:
            await self._stirred.wait()
            self._stirred = anyio.Event()
            while self._unexplained:
                key, asked = self._unexplained.popitem(last=False)
                kept = self._kept.get(key)
                if kept is None:
                    continue
                if kept.plan is None and asked[2] is not None:
                    kept.plan = await self._plan(*asked)
                _log.warning(
                    "storage.query_slow",
                    database=kept.database,
                    sql=kept.sql,
                    run_ms=round(kept.run_ms, 1),
                    queue_ms=round(kept.queue_ms, 1),
                    size_bytes=kept.size_bytes,
                    count=kept.count,
                    full_scans=[] if kept.plan is None else kept.plan.full_scans,
                    plan=[] if kept.plan is None else [step.detail for step in kept.plan.steps],
                )

    async def _plan(self, path: str, sql: str, values: Any) -> QueryPlan | None:
        database = self.faces.get(path)
        if database is None:
            return None
        try:
            return await database.explain(sql, values, timeout_s=_PLAN_S)
        except StorageError as error:  # the table is gone, say, or the pool is full
            _log.debug("storage.plan_unknown", reason=str(error))
            return None
