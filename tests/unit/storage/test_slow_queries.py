from __future__ import annotations

from typing import Any

import pytest

from storage.slow_queries import statement_of
from workers import SlowCall


def call(method: str, *params: Any) -> SlowCall:
    return SlowCall(
        method=method, params=list(params), tenant="/d/shop.db", run_us=300_000, wait_us=10, size_bytes=5
    )


@pytest.mark.parametrize(
    ("slow", "told"),
    [
        (call("json", "/d/shop.db", 1, "SELECT ?", ["secret"], "objects", False, 9), ("SELECT ?", [None])),
        (
            call("rows", "/d/shop.db", 1, "SELECT :a", {"a": "secret"}, False, 0, 9),
            ("SELECT :a", {"a": None}),
        ),
        (call("snapshot_rows", 7, "SELECT 1", [], False, 0, 9), ("SELECT 1", [])),
        (
            call("execute", "/d/shop.db", "DELETE FROM t WHERE a = ?", ["secret"]),
            ("DELETE FROM t WHERE a = ?", [None]),
        ),
        (call("transaction_execute", "/d/shop.db", 3, "DELETE FROM t", []), ("DELETE FROM t", [])),
        (
            call("execute_batch", "/d/shop.db", [["INSERT INTO t VALUES (?)", ["secret"]], ["SELECT 1", []]]),
            ("INSERT INTO t VALUES (?) -- and 1 more", [None]),
        ),
        (call("function", "/d/shop.db", "shop:tidy", ["secret"]), ("-- function shop:tidy", None)),
        (call("stream_next", 7), ("-- stream_next", None)),
    ],
    ids=lambda value: value.method if isinstance(value, SlowCall) else "",
)
def test_a_slow_call_is_told_by_its_text_and_no_value_is_kept(slow: SlowCall, told: Any) -> None:
    assert statement_of(slow) == told
    assert "secret" not in str(statement_of(slow))
