from __future__ import annotations

from dataserver.recent_errors import MAX_KIND_COUNT, RecentErrors


def test_the_same_error_is_one_line_that_counts() -> None:
    errors = RecentErrors()
    for at_ms, code in ((1, "internal"), (2, "queue_full"), (3, "internal")):
        errors.add(route="GET /x", code=code, status=500, at_ms=at_ms)
    assert [(each.code, each.count, each.at_ms) for each in errors.list()] == [
        ("internal", 2, 3),
        ("queue_full", 1, 2),
    ]


def test_the_kind_that_came_longest_ago_makes_room() -> None:
    errors = RecentErrors()
    for number in range(MAX_KIND_COUNT + 1):
        errors.add(route=f"GET /{number}", code="internal", status=500, at_ms=number)
    routes = [each.route for each in errors.list()]
    assert len(routes) == MAX_KIND_COUNT
    assert "GET /0" not in routes
