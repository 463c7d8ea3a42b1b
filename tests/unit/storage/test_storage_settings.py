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
    ("settings", "is_limited"),
    [
        (StorageSettings(), True),
        (StorageSettings(kind="thread"), False),
        (StorageSettings(use_workers=False), False),
    ],
)
def test_only_a_process_of_its_own_bounds_what_sqlite_allocates(
    settings: StorageSettings, is_limited: bool
) -> None:
    options = settings.service_options()
    assert (options["heap_limit_bytes"] > 0) == is_limited
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(options)) == msgspec.to_builtins(options)


def test_there_are_at_least_two_readers_by_default() -> None:
    assert StorageSettings().worker_count >= 2
