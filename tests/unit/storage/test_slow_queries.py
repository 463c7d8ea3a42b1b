from __future__ import annotations

from typing import Any

import pytest

from storage.slow_queries import statement_in


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (("json", "/d/shop.db", 1, "SELECT ?", ["secret"], "objects", False, 9), ("SELECT ?", [None])),
        (
            ("rows", "/d/shop.db", 1, "SELECT :a", {"a": "secret"}, False, 0, 9),
            ("SELECT :a", {"a": None}),
        ),
        (("snapshot_rows", 7, "SELECT 1", [], False, 0, 9), ("SELECT 1", [])),
        (
            ("execute", "/d/shop.db", "DELETE FROM t WHERE a = ?", ["secret"]),
            ("DELETE FROM t WHERE a = ?", [None]),
        ),
        (("transaction_execute", "/d/shop.db", 3, "DELETE FROM t", []), ("DELETE FROM t", [])),
        (
            ("execute_batch", "/d/shop.db", [["INSERT INTO t VALUES (?)", ["secret"]], ["SELECT 1", []]]),
            ("INSERT INTO t VALUES (?) -- and 1 more", [None]),
        ),
        (("function", "/d/shop.db", "shop:tidy", ["secret"]), ("-- function shop:tidy", None)),
        (("stream_next", 7), ("-- stream_next", None)),
    ],
    ids=lambda value: value[0] if value[0].islower() else "",
)
def test_a_call_is_told_by_its_text_and_no_value_is_kept(call: tuple[Any, ...], told: Any) -> None:
    method, *params = call
    assert statement_in(method, params) == told
    assert "secret" not in str(statement_in(method, params))
