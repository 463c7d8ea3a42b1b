from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from storage.errors import ConstraintViolated, NotAllowed, SqlError, WriteTimedOut
from tests.support.writing import WriterBench, told

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from workers import Call

PAST = 1e-9
"""A deadline that passed when the machine started."""
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) INSERT INTO log SELECT i FROM n"
NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) SELECT i FROM n"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[WriterBench]:
    bench = WriterBench(tmp_path, busy_timeout_s=0.05)
    bench.own("PRAGMA synchronous = OFF")  # what is on the disk when is the business of test_durability
    bench.schema(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL) STRICT",
        "CREATE TABLE part (id INTEGER PRIMARY KEY, item_id INTEGER REFERENCES item DEFERRABLE INITIALLY DEFERRED)",
        "CREATE TABLE log (n INTEGER)",
        "CREATE TRIGGER forbidden BEFORE INSERT ON item WHEN new.name = 'forbidden'"
        " BEGIN SELECT RAISE(ROLLBACK, 'it is forbidden'); END",
        "CREATE TRIGGER half AFTER INSERT ON item WHEN new.name = 'half'"
        " BEGIN INSERT INTO log VALUES (new.id); SELECT RAISE(FAIL, 'only half'); END",
    )
    yield bench
    bench.close()


def add(bench: WriterBench, what: str | None, **options: Any) -> Call:
    return bench.write("INSERT INTO item (name) VALUES (?)", [what], **options)


def names(bench: WriterBench) -> list[str]:
    return bench.rows("SELECT name FROM item ORDER BY id")


def transactions(bench: WriterBench) -> list[str]:
    """Have the writer's transactions noted from now on, in the list that is returned."""
    noted: list[str] = []
    connection = bench.connection()

    def commit() -> bool:
        noted.append("commit")
        return False

    connection.set_commit_hook(commit)
    connection.set_rollback_hook(lambda: noted.append("rollback"))
    return noted


def test_requests_that_came_together_share_one_commit_and_each_gets_its_own_answer(
    bench: WriterBench,
) -> None:
    noted = transactions(bench)

    outcomes = bench.run(
        add(bench, "a"),
        add(bench, "b"),
        bench.write("UPDATE item SET name = name || '!'"),
        bench.write("DELETE FROM log"),
    )

    assert outcomes == [[1, 1], [1, 2], [2, 0], [0, 0]]
    assert names(bench) == ["a!", "b!"]
    assert noted == ["commit"]


def test_a_request_of_several_statements_is_kept_whole_or_not_at_all(bench: WriterBench) -> None:
    outcomes = bench.run(
        add(bench, "a"),
        bench.write_all("INSERT INTO item (name) VALUES ('b')", "INSERT INTO item (name) VALUES ('a')"),
        bench.write_all(
            ("INSERT INTO item (name) VALUES (?)", ["c"]), ("DELETE FROM item WHERE name = :n", {"n": "a"})
        ),
    )

    assert told(outcomes) == [[1, 1], "ConstraintViolated", [[1, 2], [1, 0]]]
    assert outcomes[1].kind == "unique"
    assert names(bench) == ["c"]


def test_a_violated_constraint_fails_its_own_request_only_and_costs_no_replay(bench: WriterBench) -> None:
    noted = transactions(bench)

    outcomes = bench.run(add(bench, "a"), add(bench, "a"), add(bench, None), add(bench, "b"))

    assert told(outcomes) == [[1, 1], "ConstraintViolated", "ConstraintViolated", [1, 2]]
    assert [outcomes[1].kind, outcomes[2].kind] == ["unique", "not_null"]
    assert names(bench) == ["a", "b"]
    assert noted == ["commit"]


@pytest.mark.parametrize(
    ("culprit", "error"),
    [
        ("INSERT OR ROLLBACK INTO item (name) VALUES ('a')", "ConstraintViolated"),
        ("INSERT INTO item (name) VALUES ('forbidden')", "ConstraintViolated"),
        ("INSERT INTO part (item_id) VALUES (99)", "ConstraintViolated"),
        ("INSERT OR FAIL INTO item (name) VALUES ('half done'), ('a')", "ConstraintViolated"),
        ("INSERT INTO item (name) VALUES ('half')", "ConstraintViolated"),
        ("COMMIT", "NotAllowed"),
        ("END TRANSACTION", "NotAllowed"),
        ("ROLLBACK", "NotAllowed"),
        ("BEGIN IMMEDIATE", "NotAllowed"),
        ("SAVEPOINT request", "NotAllowed"),
        ("RELEASE request", "NotAllowed"),
        ("ROLLBACK TO request", "NotAllowed"),
        ("ATTACH ':memory:' AS other", "NotAllowed"),
        ("DETACH main", "NotAllowed"),
        ("VACUUM", "NotAllowed"),
        ("VACUUM INTO 'elsewhere.db'", "NotAllowed"),
        ("PRAGMA synchronous = OFF", "NotAllowed"),
        ("INSERT INTO log SELECT 1 FROM pragma_table_info('item')", "NotAllowed"),
        ("CREATE TEMP TABLE t (a)", "NotAllowed"),
        ("CREATE TEMP TRIGGER t AFTER INSERT ON item BEGIN SELECT RAISE(ROLLBACK, 'x'); END", "NotAllowed"),
        ("INSERT INTO item (name) VALUES ('x'); COMMIT", "SqlError"),
        ("-- nothing", "SqlError"),
        ("INSERT INTO nowhere VALUES (1)", "SqlError"),
        ("INSERT INTO item (name) VALUES (?)", "ParameterMismatch"),
    ],
)
@pytest.mark.parametrize("place", [0, 1, 4])
def test_what_could_break_a_batch_fails_alone_and_leaves_nothing(
    bench: WriterBench, culprit: str, error: str, place: int
) -> None:
    bench.done(add(bench, "a"))
    calls = [add(bench, name) for name in "bcde"]
    calls.insert(place, bench.write(culprit))

    outcomes = bench.run(*calls)

    expected: list[Any] = [[1, 2], [1, 3], [1, 4], [1, 5]]
    expected.insert(place, error)
    assert told(outcomes) == expected
    assert names(bench) == list("abcde")
    assert bench.rows("SELECT n FROM log") == []


def test_it_fails_alike_inside_a_request_of_several_statements(bench: WriterBench) -> None:
    first = "INSERT INTO item (name) VALUES ('gone')"
    outcomes = bench.run(
        add(bench, "a"),
        bench.write_all(first, "INSERT OR ROLLBACK INTO item (name) VALUES ('a')"),
        bench.write_all(first, "INSERT OR FAIL INTO item (name) VALUES ('also gone'), ('a')"),
        bench.write_all(first, "INSERT INTO part (item_id) VALUES (99)"),
        bench.write_all(first, "COMMIT"),
        bench.write_all(first, "RELEASE request"),
        add(bench, "b"),
    )

    assert told(outcomes) == [[1, 1], *["ConstraintViolated"] * 3, "NotAllowed", "NotAllowed", [1, 2]]
    assert names(bench) == ["a", "b"]


def test_a_deferred_key_is_not_mended_by_the_neighbour_who_came_later(bench: WriterBench) -> None:
    orphan = bench.write("INSERT INTO part (item_id) VALUES (1)")
    whole = bench.write_all("INSERT INTO part (item_id) VALUES (2)", "INSERT INTO item VALUES (2, 'two')")

    outcomes = bench.run(orphan, add(bench, "one"), whole)

    assert told(outcomes) == ["ConstraintViolated", [1, 1], [[1, 1], [1, 2]]]
    assert outcomes[0].kind == "foreign_key"
    assert bench.rows("SELECT item_id FROM part") == [2]


def test_known_culprits_cost_one_replay_each(bench: WriterBench) -> None:
    noted = transactions(bench)
    bad = "INSERT OR ROLLBACK INTO item (name) VALUES ('a')"

    outcomes = bench.run(
        add(bench, "a"), bench.write(bad), add(bench, "b"), bench.write(bad), add(bench, "c")
    )

    assert told(outcomes) == [[1, 1], "ConstraintViolated", [1, 2], "ConstraintViolated", [1, 3]]
    assert noted.count("commit") == 3
    assert noted.count("rollback") == 4


def test_a_commit_of_ours_in_the_statement_cache_lets_no_caller_through(bench: WriterBench) -> None:
    for sql in ("COMMIT", "ROLLBACK", "BEGIN IMMEDIATE", "SAVEPOINT request", "RELEASE request"):
        for _ in range(2):
            outcomes = bench.run(
                add(bench, "kept"), bench.write_all("DELETE FROM log", sql), bench.write(sql)
            )
            assert [type(each) for each in outcomes[1:]] == [NotAllowed, NotAllowed]
    assert names(bench) == ["kept"]


def test_a_refusal_says_what_is_refused_and_where(bench: WriterBench) -> None:
    outcomes = bench.run(
        bench.write("PRAGMA synchronous = OFF"),
        bench.write("DELETE FROM log; DELETE FROM item"),
        bench.write("DELETE FROM log WHERE x = 1"),
    )

    assert [str(each) for each in outcomes] == [
        "PRAGMA synchronous is not allowed in a write",
        "there is more than one statement in the text",
        "no such column: x",
    ]
    assert [each.offset for each in outcomes[1:]] == [17, 22]


def test_returned_rows_come_with_their_columns_also_when_there_are_none(bench: WriterBench) -> None:
    add_one = "INSERT INTO item (name) VALUES (?) RETURNING id, name AS called"
    remove = "DELETE FROM item WHERE id = 99 RETURNING id"

    outcomes = bench.run(
        *[bench.write(add_one, [name]) for name in "ab"],
        bench.write(remove),
        bench.write(remove),
        add(bench, "a"),
    )

    assert told(outcomes) == [
        [1, 1, ["id", "called"], [(1, "a")]],
        [1, 2, ["id", "called"], [(2, "b")]],
        [0, 0, ["id"], []],
        [0, 0, ["id"], []],
        "ConstraintViolated",
    ]


def test_columns_are_told_as_they_are_after_a_change_of_the_schema(bench: WriterBench) -> None:
    every = "DELETE FROM item WHERE id = 99 RETURNING *"
    before = bench.done(bench.write(every))
    bench.schema("ALTER TABLE item ADD colour TEXT")

    after = bench.done(bench.write(every))

    assert [before[0][2], after[0][2]] == [["id", "name"], ["id", "name", "colour"]]


def test_columns_are_told_as_they_are_though_another_process_changes_the_schema(bench: WriterBench) -> None:
    sql = "INSERT INTO item (name) VALUES (?) RETURNING *"
    other = apsw.Connection(bench.path())
    for number in range(4):  # looked at the first time, known the second
        (outcome,) = bench.done(bench.write(sql, [f"name {number}"]))
        assert outcome[2] == ["id", "name", *(f"more_{each}" for each in range(number))]
        assert len(outcome[2]) == len(outcome[3][0])
        other.execute(f"ALTER TABLE item ADD COLUMN more_{number} TEXT")
    other.close()


def test_the_ways_to_change_a_schema_and_to_search_text_all_work(bench: WriterBench) -> None:
    bench.done(add(bench, "a"))
    bench.schema(
        "ALTER TABLE item ADD price INTEGER NOT NULL DEFAULT 1 CHECK (price > 0)",
        "ALTER TABLE item RENAME price TO cost",
        "ALTER TABLE item DROP cost",
        "ALTER TABLE log RENAME TO diary",
        "CREATE INDEX by_n ON diary (n)",
        "REINDEX",
        "ANALYZE",
        "CREATE VIRTUAL TABLE words USING fts5 (word)",
        "CREATE VIRTUAL TABLE area USING rtree (id, x0, x1)",
        "CREATE VIEW both AS SELECT name FROM item",
        "DROP VIEW both",
    )

    outcomes = bench.done(
        bench.write("INSERT INTO words VALUES ('some words')"),
        bench.write(
            "INSERT INTO words SELECT word || ' more' FROM words WHERE words MATCH 'some' RETURNING word"
        ),
        bench.write("INSERT INTO area VALUES (1, 0, 1)"),
    )

    assert outcomes == [[1, 1], [1, 2, ["word"], [("some words more",)]], [1, 1]]
    assert bench.rows("SELECT word FROM words WHERE words MATCH 'more'") == ["some words more"]


def test_rows_beyond_the_limit_undo_the_request_that_returned_them(tmp_path: Path) -> None:
    bench = WriterBench(tmp_path, max_result_bytes=10_000)
    bench.schema("CREATE TABLE item (name TEXT)")
    large = f"INSERT INTO item {NUMBERS} RETURNING 'ten letters'"

    outcomes = bench.run(
        bench.write("INSERT INTO item VALUES ('a')"),
        bench.write(large, [2_000]),
        bench.write("INSERT INTO item VALUES ('b')"),
    )

    assert told(outcomes) == [[1, 1], "ResultTooLarge", [1, 2]]
    assert bench.rows("SELECT name FROM item") == ["a", "b"]
    assert told(bench.run(bench.write_all((large, [2_000])), bench.call("checkpoint"))) == [
        "ResultTooLarge",
        True,
    ]
    bench.close()


def test_a_returned_text_that_is_not_utf8_undoes_its_request(bench: WriterBench) -> None:
    bad = bench.write("INSERT INTO log VALUES (1) RETURNING CAST(x'ff' AS TEXT)")

    assert told(bench.run(add(bench, "a"), bad, add(bench, "b"))) == [[1, 1], "SqlError", [1, 2]]
    assert bench.rows("SELECT n FROM log") == []


def test_more_texts_than_are_remembered_run_all_the_same(bench: WriterBench) -> None:
    text = "INSERT INTO log VALUES (?) RETURNING n"
    outcomes = bench.run(*[bench.write(text + " " * n, [n]) for n in range(1_100)])

    assert outcomes == [[1, n + 1, ["n"], [(n,)]] for n in range(1_100)]


@pytest.mark.parametrize(
    "params", [[object()], [2**63], ["half a pair \ud800"], ["a", "b"], [], {}, {"other": 1}, [["nested"]]]
)
def test_parameters_that_do_not_fit_fail_their_own_request_only(bench: WriterBench, params: Any) -> None:
    outcomes = bench.run(
        add(bench, "a"), bench.write("INSERT INTO item (name) VALUES (:name)", params), add(bench, "b")
    )

    assert told(outcomes) == [[1, 1], "ParameterMismatch", [1, 2]]


def test_a_malformed_call_fails_alone(bench: WriterBench) -> None:
    outcomes = bench.run(add(bench, "a"), bench.call("execute", "DELETE FROM log"))

    assert outcomes[0] == [1, 1]
    assert isinstance(outcomes[1], IndexError)
    assert names(bench) == ["a"]


def test_a_write_whose_deadline_passed_while_it_waited_is_not_begun(bench: WriterBench) -> None:
    outcomes = bench.run(
        add(bench, "a"), add(bench, "late", deadline=PAST), add(bench, "b", deadline=time.monotonic() + 60)
    )

    assert told(outcomes) == [[1, 1], "WriteTimedOut", [1, 2]]
    assert names(bench) == ["a", "b"]


def test_a_write_alone_ends_at_its_deadline_and_leaves_nothing(bench: WriterBench) -> None:
    outcomes = bench.run(bench.write(ENDLESS, deadline=time.monotonic() + 0.05))

    assert told(outcomes) == ["WriteTimedOut"]
    assert bench.done(add(bench, "a")) == [[1, 1]]
    assert bench.rows("SELECT n FROM log") == []


def test_a_heavy_write_is_taken_out_of_the_company_it_came_in(bench: WriterBench) -> None:
    noted = transactions(bench)

    outcomes = bench.run(
        add(bench, "a"), bench.write(f"INSERT INTO log {NUMBERS}", [100_000]), add(bench, "b")
    )

    assert outcomes == [[1, 1], [100_000, 100_000], [1, 2]]
    assert noted == ["rollback", "commit", "commit", "commit"]


def test_a_text_that_was_heavy_runs_alone_from_then_on_until_it_is_light_again(bench: WriterBench) -> None:
    many = f"INSERT INTO log {NUMBERS}"
    bench.done(add(bench, "a"), bench.write(many, [400_000]))
    noted = transactions(bench)

    bench.done(add(bench, "b"), bench.write(many, [1]))
    bench.done(add(bench, "c"), bench.write(many, [1]))

    assert noted == ["commit", "commit", "commit"]
    assert bench.rows("SELECT count(*) FROM log") == [400_002]


def test_a_change_of_the_schema_has_a_transaction_of_its_own(bench: WriterBench) -> None:
    noted = transactions(bench)

    bench.done(
        add(bench, "a"), bench.write("CREATE TABLE later (a)"), bench.write("INSERT INTO later VALUES (1)")
    )

    assert noted == ["commit"] * 3


def test_a_write_alone_can_be_interrupted_and_the_next_one_is_not_hit(bench: WriterBench) -> None:
    stopped = threading.Event()

    def interrupt() -> None:
        while not stopped.wait(0.005):
            bench.service.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        outcomes = bench.run(bench.write(ENDLESS))
    finally:
        stopped.set()
        thread.join()

    assert told(outcomes) == ["WriteTimedOut"]
    assert bench.run(add(bench, "a")) == [[1, 1]]


def test_a_batch_in_company_is_not_interrupted(bench: WriterBench) -> None:
    stopped = threading.Event()

    def interrupt() -> None:
        while not stopped.wait(0.0001):  # and not for ever: the batch needs the interpreter, too
            bench.service.interrupt()

    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        outcomes = [bench.run(*[add(bench, f"{n} {m}") for m in range(100)]) for n in range(30)]
    finally:
        stopped.set()
        thread.join()

    assert not [each for batch in outcomes for each in batch if isinstance(each, Exception)]


def test_an_interrupt_between_two_statements_ends_a_long_request(bench: WriterBench) -> None:
    statements = [("INSERT INTO log VALUES (?)", [n]) for n in range(5)]
    rowids: list[int] = []

    def interrupt_at_the_third(_kind: int, _database: str, _table: str, rowid: int) -> None:
        rowids.append(rowid)
        if len(rowids) == 3:
            bench.service.interrupt()

    bench.connection().set_update_hook(interrupt_at_the_third)

    assert told(bench.run(bench.write_all(*statements))) == ["WriteTimedOut"]
    assert rowids == [1, 2, 3]
    assert bench.rows("SELECT n FROM log") == []


def test_a_lock_held_by_another_process_is_busy_and_nothing_is_written(bench: WriterBench) -> None:
    other = apsw.Connection(bench.path())
    other.execute("BEGIN IMMEDIATE")
    busy = bench.run(add(bench, "a"), add(bench, "b"))
    alone = bench.run(add(bench, "c"))
    other.execute("COMMIT")
    other.close()

    assert told(busy + alone) == ["StorageBusy"] * 3
    assert bench.done(add(bench, "d")) == [[1, 1]]


def test_a_full_database_fails_what_does_not_fit_and_keeps_what_does(bench: WriterBench) -> None:
    bench.own(f"PRAGMA max_page_count = {bench.own('PRAGMA page_count') + 3}")
    blob = "INSERT INTO log VALUES (zeroblob(?))"

    outcomes = bench.run(
        add(bench, "a"),
        bench.write(blob, [100_000]),
        add(bench, "b"),
        bench.write_all((blob, [90_000])),
        add(bench, "c"),
    )

    assert told(outcomes) == [[1, 1], "StorageFull", [1, 2], "StorageFull", [1, 3]]
    assert names(bench) == ["a", "b", "c"]
    assert bench.rows("PRAGMA integrity_check") == ["ok"]


def test_databases_of_one_batch_do_not_touch_each_other(bench: WriterBench) -> None:
    bench.done(bench.call("create", name="other"))
    bench.schema("CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT UNIQUE)", name="other")

    outcomes = bench.run(
        add(bench, "a"),
        add(bench, "a", name="other"),
        add(bench, "a"),
        add(bench, "b", name="other"),
        add(bench, "x", name="none"),
    )

    assert told(outcomes) == [[1, 1], [1, 1], "ConstraintViolated", [1, 2], "DatabaseNotFound"]
    assert bench.rows("SELECT name FROM item", name="other") == ["a", "b"]


def test_errors_are_of_the_type_the_caller_can_act_on(bench: WriterBench) -> None:
    outcomes = bench.run(
        add(bench, None), bench.write("COMMIT"), bench.write("no sql"), add(bench, "late", deadline=PAST)
    )

    assert [type(each) for each in outcomes] == [ConstraintViolated, NotAllowed, SqlError, WriteTimedOut]
    assert all(each.__cause__ is not None for each in outcomes[:3])
