from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from storage.errors import MigrationFailed
from storage.migrations import Migration, load, pending

if TYPE_CHECKING:
    from pathlib import Path

FIRST = Migration("shop", 1, "orders", "CREATE TABLE orders (id INTEGER PRIMARY KEY)")
SECOND = Migration("shop", 2, "items", "CREATE TABLE items (id INTEGER PRIMARY KEY)")


def seen(*migrations: Migration) -> dict[int, tuple[str, str]]:
    return {each.number: (each.file_name, each.checksum) for each in migrations}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    folder = tmp_path / f"package_of_{request.node.name}"
    folder.mkdir()
    (folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return folder


def test_what_was_not_applied_is_pending_in_order() -> None:
    assert pending([FIRST, SECOND], {}) == [FIRST, SECOND]
    assert pending([FIRST, SECOND], seen(FIRST)) == [SECOND]
    assert pending([FIRST, SECOND], seen(FIRST, SECOND)) == []


def test_a_file_that_was_edited_after_it_was_applied_is_refused_by_name() -> None:
    edited = Migration("shop", 1, "orders", "CREATE TABLE orders (id TEXT)")

    with pytest.raises(MigrationFailed, match=r"shop: 0001_orders\.sql: it was edited") as caught:
        pending([edited, SECOND], seen(FIRST))
    assert caught.value.version == 1


def test_other_line_ends_are_no_edit() -> None:
    lines = Migration("shop", 1, "orders", "CREATE TABLE a (b);\nCREATE TABLE c (d);\n")
    same = Migration("shop", 1, "orders", "CREATE TABLE a (b);\r\nCREATE TABLE c (d);\r\n")

    assert pending([same], seen(lines)) == []


def test_a_file_that_comes_before_the_last_applied_one_is_refused() -> None:
    with pytest.raises(MigrationFailed, match=r"0001_orders\.sql: it comes before number 0002"):
        pending([FIRST, SECOND], seen(SECOND))


def test_a_database_that_is_ahead_is_refused() -> None:
    with pytest.raises(MigrationFailed, match=r"has seen 0002_items\.sql") as caught:
        pending([FIRST], seen(FIRST, SECOND))
    assert caught.value.version == 2


def test_the_files_of_a_package_are_loaded_by_number(package: Path) -> None:
    (package / "0002_items.sql").write_text(SECOND.sql)
    (package / "0001_orders.sql").write_text(FIRST.sql)
    (package / "notes.txt").write_text("not a migration")

    loaded = load(package.name)

    assert loaded == [
        Migration(package.name, 1, "orders", FIRST.sql),
        Migration(package.name, 2, "items", SECOND.sql),
    ]
    assert [Migration(*each.as_params()) for each in loaded] == loaded


def test_a_file_of_another_name_is_refused_rather_than_skipped(package: Path) -> None:
    (package / "1-orders.sql").write_text(FIRST.sql)

    with pytest.raises(MigrationFailed, match=r"1-orders\.sql is not named like"):
        load(package.name)


def test_two_files_of_one_number_are_refused(package: Path) -> None:
    (package / "0001_orders.sql").write_text(FIRST.sql)
    (package / "0001_items.sql").write_text(SECOND.sql)

    with pytest.raises(MigrationFailed, match="have the same number"):
        load(package.name)
