from __future__ import annotations

from typing import Any

import msgspec
import pytest

from storage import StorageSettings


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "inline"),
        ("worker_count", 0),
        ("worker_count", 1.5),
        ("writer_count", 17),
        ("max_queue_size", 0),
        ("query_timeout_s", 0),
        ("write_timeout_s", float("inf")),
        ("busy_timeout_s", -1),
        ("max_result_bytes", 10),
        ("statement_cache_count", 513),
        ("stream_idle_s", float("nan")),
        ("json_big_integers", "float"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(ValueError, match=name):
        StorageSettings(**{name: value})


@pytest.mark.parametrize(
    ("settings", "kind", "has_heap_limit"),
    [
        (StorageSettings(), "process", True),
        (StorageSettings(kind="thread"), "thread", False),
        (StorageSettings(use_workers=False), "inline", False),
    ],
)
def test_services_are_told_what_they_run_in(
    settings: StorageSettings, kind: str, has_heap_limit: bool
) -> None:
    options = settings.service_options()
    assert options["worker_kind"] == kind
    assert (options["heap_limit_bytes"] > 0) == has_heap_limit
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(options)) == options


def test_there_are_at_least_two_readers_by_default() -> None:
    assert StorageSettings().worker_count >= 2
