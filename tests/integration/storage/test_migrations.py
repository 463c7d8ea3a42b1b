from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from storage.errors import MigrationFailed
from storage.migrations import Migration
from tests.support.recording_vfs import recording
from tests.support.writing import WriterBench, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORDERS = Migration("shop", 1, "orders", "CREATE TABLE orders (id INTEGER PRIMARY KEY); -- the first")
ITEMS = Migration(
    "shop",
    2,
    "items",
    """
    CREATE TABLE items (id INTEGER PRIMARY KEY, order_id INTEGER NOT NULL REFERENCES orders ON DELETE CASCADE);
    CREATE TRIGGER two AFTER INSERT ON items BEGIN SELECT 1; SELECT 2; END; -- semicolons; inside
    INSERT INTO orders VALUES (1), (2);
    INSERT INTO items VALUES (10, 1), (20, 2);
    """,
)
ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO orders SELECT -i FROM n"
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[WriterBench]:
    bench = WriterBench(tmp_path)
    yield bench
    bench.close()


def migrate(bench: WriterBench, *migrations: Migration, deadline: float = 0.0) -> Any:
    (outcome,) = bench.run(
        bench.call("migrate", [each.as_params() for each in migrations], deadline=deadline)
    )
    return outcome


def applied(bench: WriterBench) -> list[Any]:
    return bench.rows("SELECT source, file_name FROM storage_migrations ORDER BY source, number")


def test_each_is_applied_once(bench: WriterBench) -> None:
    assert migrate(bench, ORDERS) == 1
    assert migrate(bench, ORDERS, ITEMS) == 1
    assert migrate(bench, ORDERS, ITEMS) == 0

    assert applied(bench) == [("shop", "0001_orders.sql"), ("shop", "0002_items.sql")]
    assert bench.rows("SELECT id FROM items") == [10, 20]


def test_packages_that_share_a_database_have_numbers_of_their_own(bench: WriterBench) -> None:
    other = Migration("other", 1, "notes", "CREATE TABLE notes (a)")

    assert migrate(bench, ORDERS, other, ITEMS) == 3
    assert migrate(bench, other) == 0
    assert applied(bench) == [
        ("other", "0001_notes.sql"),
        ("shop", "0001_orders.sql"),
        ("shop", "0002_items.sql"),
    ]


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        (
            "CREATE TABLE more (a); CREATE TABLE orders (b);",
            "table orders already exists in: CREATE TABLE orders (b);",
        ),
        ("CREATE TABLE more (a); NONSENSE;", 'near "NONSENSE": syntax error'),
        (
            "CREATE TABLE more (a); INSERT INTO orders VALUES (1), (1)",
            "UNIQUE constraint failed: orders.id in: INSERT",
        ),
        (
            "CREATE TABLE more (a); COMMIT; DROP TABLE orders",
            "statements that control transactions are not allowed",
        ),
        ("CREATE TABLE more (a); PRAGMA foreign_keys = ON", "PRAGMA foreign_keys is not allowed in a write"),
        ("CREATE TABLE more (a); INSERT INTO orders VALUES (?)", "in: INSERT INTO orders"),
    ],
)
def test_one_that_breaks_names_file_and_statement_and_leaves_no_trace(
    bench: WriterBench, sql: str, why: str
) -> None:
    broken = migrate(
        bench, ORDERS, Migration("shop", 2, "broken", sql), Migration("shop", 3, "never", "SELECT 1")
    )

    assert isinstance(broken, MigrationFailed)
    assert str(broken).startswith("shop: 0002_broken.sql: ")
    assert why in str(broken)
    assert broken.version == 2
    assert applied(bench) == [("shop", "0001_orders.sql")]
    assert bench.rows("SELECT name FROM sqlite_schema WHERE name = 'more'") == []
    assert told(bench.run(bench.write("INSERT INTO orders VALUES (1)"))) == [[1, 1]]


def test_an_edited_one_is_refused_before_anything_is_applied(bench: WriterBench) -> None:
    migrate(bench, ORDERS)

    edited = migrate(bench, Migration("shop", 1, "orders", "CREATE TABLE orders (id TEXT)"), ITEMS)

    assert isinstance(edited, MigrationFailed)
    assert applied(bench) == [("shop", "0001_orders.sql")]


def test_a_table_can_be_rebuilt_without_losing_what_refers_to_it(bench: WriterBench) -> None:
    migrate(bench, ORDERS, ITEMS)
    rebuild = """
        CREATE TABLE new_orders (id INTEGER PRIMARY KEY, note TEXT NOT NULL DEFAULT '') STRICT;
        INSERT INTO new_orders (id) SELECT id FROM orders;
        DROP TABLE orders;
        ALTER TABLE new_orders RENAME TO orders;
    """

    assert migrate(bench, ORDERS, ITEMS, Migration("shop", 3, "rebuild", rebuild)) == 1

    assert bench.rows("SELECT id FROM items") == [10, 20]
    assert told(bench.run(bench.write("INSERT INTO items VALUES (30, 99)"))) == ["ConstraintViolated"]


def test_one_that_leaves_dangling_references_is_refused(bench: WriterBench) -> None:
    migrate(bench, ORDERS, ITEMS)

    outcome = migrate(
        bench, ORDERS, ITEMS, Migration("shop", 3, "careless", "DELETE FROM orders WHERE id = 1")
    )

    assert str(outcome) == "shop: 0003_careless.sql: it leaves rows that refer to none"
    assert bench.rows("SELECT id FROM orders") == [1, 2]


def test_references_that_dangled_before_do_not_stand_in_the_way(bench: WriterBench) -> None:
    migrate(bench, ORDERS, ITEMS)
    bench.own("PRAGMA foreign_keys = OFF")
    bench.own("INSERT INTO items VALUES (30, 99)")
    bench.own("PRAGMA foreign_keys = ON")

    assert migrate(bench, ORDERS, ITEMS, Migration("shop", 3, "more", "CREATE TABLE more (a)")) == 1


def test_one_that_takes_too_long_is_stopped_and_leaves_no_trace(bench: WriterBench) -> None:
    slow = Migration("shop", 2, "slow", ENDLESS)
    migrate(bench, ORDERS)

    outcome = migrate(bench, ORDERS, slow, deadline=time.monotonic() + 0.1)

    assert told([outcome]) == ["WriteTimedOut"]
    assert applied(bench) == [("shop", "0001_orders.sql")]
    assert told(bench.run(bench.write("INSERT INTO orders VALUES (1)"))) == [[1, 1]]


def test_each_is_on_the_disk_before_the_next_one_begins(tmp_path: Path) -> None:
    with recording() as disk:
        bench = WriterBench(tmp_path)
        disk.events.clear()
        migrate(bench, ORDERS, ITEMS)
        disk.acknowledge()
        bench.close()

    assert sum(event.kind == "sync" and event.file == "-wal" for event in disk.events) >= 2
    assert disk.unsynced_acknowledgements() == 0
