"""The table of errors covers everything that can reach it."""

from __future__ import annotations

import inspect

import pytest

import storage
from dataserver import refusals
from dataserver.errors import ANSWERS, INTERNAL, answering, error_body

NOT_THE_CLIENTS = {
    storage.StorageError: "as itself it is a fault of the disk or of SQLite",
    storage.RowMismatch: "only `into` raises it, which no route uses",
    storage.UnsupportedSqlite: "raised at start",
    storage.MigrationFailed: "raised at start",
}


def kinds(module: object, root: type) -> list[type]:
    found = [getattr(module, name) for name in getattr(module, "__all__", dir(module))]
    return [each for each in found if inspect.isclass(each) and issubclass(each, root)]


@pytest.mark.parametrize("kind", kinds(storage, storage.StorageError), ids=lambda kind: kind.__name__)
def test_every_error_of_storage_has_its_row_or_is_a_fault_of_ours(kind: type[Exception]) -> None:
    assert (kind in ANSWERS) != (kind in NOT_THE_CLIENTS)


@pytest.mark.parametrize("kind", kinds(refusals, refusals.Refusal), ids=lambda kind: kind.__name__)
def test_every_refusal_has_its_row(kind: type[Exception]) -> None:
    assert kind in ANSWERS or kind is refusals.Refusal


def test_codes_are_public_names_that_mean_one_status() -> None:
    statuses: dict[str, set[int]] = {}
    for how in (*ANSWERS.values(), INTERNAL):
        assert how.code == how.code.lower()
        statuses.setdefault(how.code, set()).add(how.status)
    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}


def test_only_a_fault_of_ours_is_logged_as_an_error() -> None:
    assert {how.code for how in ANSWERS.values() if how.level == "error"} == {
        "storage_full",
        "wrong_key",
        "encryption_unavailable",
        "database_corrupt",
    }


def test_a_text_that_is_not_for_the_client_stays_here() -> None:
    error = storage.DatabaseCorrupt("/var/data/shop.db is malformed")
    body = error_body(error, answering(type(error)))
    assert "/var" not in body.error.message


def test_an_unknown_exception_is_internal() -> None:
    assert answering(KeyError) is INTERNAL
    assert error_body(KeyError("secret"), INTERNAL).error.details is None
