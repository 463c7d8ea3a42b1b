from __future__ import annotations

from dataserver.recent_errors import MAX_KIND_COUNT, RecentErrors
from tests.support.clocks import ManualClock


def test_the_same_error_is_one_line_that_counts() -> None:
    clock = ManualClock()
    errors = RecentErrors(clock)
    began_ms = int(clock.now() * 1000)
    for code in ("internal", "queue_full", "internal"):
        clock.advance(1)
        errors.add(route="GET /x", code=code, status=500)
    assert [(each.code, each.count, each.at_ms - began_ms) for each in errors.list()] == [
        ("internal", 2, 3_000),
        ("queue_full", 1, 2_000),
    ]


def test_the_kind_that_came_longest_ago_makes_room() -> None:
    errors = RecentErrors(ManualClock())
    for number in range(MAX_KIND_COUNT + 1):
        errors.add(route=f"GET /{number}", code="internal", status=500)
    routes = [each.route for each in errors.list()]
    assert len(routes) == MAX_KIND_COUNT
    assert "GET /0" not in routes
