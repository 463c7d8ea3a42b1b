from __future__ import annotations

from typing import Any

import pytest

import storage
import workers
from storage.errors import StorageError
from storage.pool_errors import failed_read, failed_write, refused_parameters

CASES: list[tuple[workers.WorkersError, type[StorageError], type[StorageError]]] = [
    (
        workers.PoolSaturated("full", retry_after_s=0.5, reason="count"),
        storage.StorageSaturated,
        storage.StorageSaturated,
    ),
    (workers.PoolClosed("closed"), storage.StorageClosed, storage.StorageClosed),
    (workers.ServiceUnavailable("none"), storage.StorageUnavailable, storage.StorageUnavailable),
    (workers.WorkerDied("gone", begun=False), storage.StorageUnavailable, storage.StorageUnavailable),
    (workers.WorkerDied("gone", begun=True), storage.StorageUnavailable, storage.WriteOutcomeUnknown),
    (workers.TaskTimedOut("late", begun=False), storage.QueryTimedOut, storage.WriteTimedOut),
    (workers.TaskTimedOut("late", begun=True), storage.QueryTimedOut, storage.WriteOutcomeUnknown),
    (workers.TaskCancelled("taken back"), storage.StorageUnavailable, storage.StorageUnavailable),
    (workers.TaskFailed("rows failed with KeyError"), storage.StorageError, storage.StorageError),
]


@pytest.mark.parametrize(("error", "read", "write"), CASES, ids=range(len(CASES)))
def test_a_failed_call_is_told_by_what_may_have_happened(
    error: workers.WorkersError, read: type[StorageError], write: type[StorageError]
) -> None:
    assert type(failed_read(error)) is read
    assert type(failed_write(error)) is write


def test_every_error_of_a_pool_is_a_case() -> None:
    known = {type(error) for error, _, _ in CASES}
    of_pools = {kind for kind in workers.WorkersError.__subclasses__() if kind.__module__ == "workers.errors"}
    assert of_pools == known


def test_how_long_to_wait_is_passed_on() -> None:
    found: Any = failed_read(workers.PoolSaturated("full", retry_after_s=0.25, reason="count"))
    assert found.retry_after_s == 0.25
    assert found.details == {"retry_after_s": 0.25}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OverflowError("too big"), "64 bits"),
        (UnicodeEncodeError("utf-8", "\ud800", 0, 1, "no"), "surrogate"),
        (TypeError("no"), "type"),
    ],
)
def test_parameters_that_fit_no_message_are_told_in_the_callers_words(error: Exception, words: str) -> None:
    assert words in str(refused_parameters(error))
