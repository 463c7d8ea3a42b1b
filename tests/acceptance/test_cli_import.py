"""`dataserver import`: each row once, whatever happens; every bad line by its number."""

from __future__ import annotations

import csv
import gzip
import json
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import run, serving, start

ROW_COUNT = 120_000


@pytest.fixture(params=["alone", "through a server"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An empty data folder, with nobody on it or with a server."""
    if request.param == "alone":
        yield tmp_path / "data"
    else:
        with serving(tmp_path / "data"):
            yield tmp_path / "data"


def rows_of(folder: Path, database: str, sql: str) -> list[dict[str, Any]]:
    done = run("query", database, sql, "--data-dir", folder)
    assert done.returncode == 0, done.stderr
    rows: list[dict[str, Any]] = json.loads(done.stdout)
    return rows


def types_of(folder: Path, database: str, table: str) -> dict[str, str]:
    sql = f"SELECT name, type FROM pragma_table_info('{table}')"  # noqa: S608 - a name of ours
    return {row["name"]: row["type"] for row in rows_of(folder, database, sql)}


def write_csv(file: Path, rows: list[list[str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(rows)
    return file


def test_csv_gets_the_types_that_all_its_values_allow(folder: Path, tmp_path: Path) -> None:
    file = write_csv(
        tmp_path / "goods.csv",
        [
            ["id", "price", "zip", "note", "ID"],
            ["1", "1.5", "01234", "a,\n\u201eb\u201c", ""],
            ["2", "3", "5", "", "7"],
        ],
    )
    done = run("import", "csv", file, "shop", "goods", "--data-dir", folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "database": "shop",
        "table": "goods",
        "rows": 2,
        "skipped": 0,
        "resumed_at_line": None,
        "was_done_before": False,
    }
    assert types_of(folder, "shop", "goods") == {
        "id": "INTEGER",
        "price": "REAL",
        "zip": "TEXT",
        "note": "TEXT",
        "ID_2": "INTEGER",
    }
    assert rows_of(folder, "shop", "SELECT * FROM goods") == [
        {"id": 1, "price": 1.5, "zip": "01234", "note": "a,\n\u201eb\u201c", "ID_2": None},
        {"id": 2, "price": 3.0, "zip": "5", "note": "", "ID_2": 7},
    ]


def test_compressed_json_lines_come_back_as_they_were(folder: Path, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 1, "text": "\ufeff\u3000\u200b\x00\x03", "big": 9007199254740993, "list": [1, {"a": None}]},
        {"id": 2, "text": "", "mixed": "x", "yes": True},
        {"id": 3, "mixed": 1.5, "yes": False},
    ]
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()))
    assert run("import", "jsonl", file, "shop", "t", "--data-dir", folder).returncode == 0
    assert types_of(folder, "shop", "t") == {
        "id": "INTEGER",
        "text": "TEXT",
        "big": "INTEGER",
        "list": "TEXT",
        "mixed": "ANY",
        "yes": "INTEGER",
    }
    first, second, third = rows_of(folder, "shop", "SELECT * FROM t ORDER BY id")
    assert (first["text"], first["big"], json.loads(first["list"])) == (
        rows[0]["text"],
        rows[0]["big"],
        rows[0]["list"],
    )
    assert (second["mixed"], second["yes"], third["mixed"], third["yes"]) == ("x", 1, 1.5, 0)


def test_an_import_that_is_killed_goes_on_and_has_each_row_once(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv.gz"
    text = "number,text\n" + "".join(f"{number},row {number}\n" for number in range(ROW_COUNT))
    file.write_bytes(gzip.compress(text.encode(), compresslevel=1))
    arguments = ("import", "csv", file, "shop", "t", "--data-dir", folder)
    for _ in range(2):
        killed = start(*arguments, environment={"DATASERVER_LOG_LEVEL": "debug"})
        assert killed.stderr is not None
        for line in killed.stderr:
            if "import.batch_stored" in line:
                break
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
    done = run(*arguments)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["rows"] == ROW_COUNT
    assert outcome["resumed_at_line"] > 1
    assert "going on after line" in done.stderr
    [counted] = rows_of(
        folder, "shop", "SELECT count(*) AS n, count(DISTINCT number) AS d, sum(number) AS s FROM t"
    )
    assert counted == {"n": ROW_COUNT, "d": ROW_COUNT, "s": ROW_COUNT * (ROW_COUNT - 1) // 2}


def test_the_same_file_again_changes_nothing(folder: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", [["a"], ["1"]])
    for was_done_before in (False, True):
        done = run("import", "csv", file, "shop", "t", "--data-dir", folder)
        assert json.loads(done.stdout)["was_done_before"] is was_done_before
    assert rows_of(folder, "shop", "SELECT count(*) AS n FROM t") == [{"n": 1}]


def test_another_file_is_added_only_when_asked_for(folder: Path, tmp_path: Path) -> None:
    first = write_csv(tmp_path / "a.csv", [["a", "b"], ["1", "x"]])
    second = write_csv(tmp_path / "b.csv", [["B", "A"], ["y", "2"]])
    third = write_csv(tmp_path / "c.csv", [["a", "c"], ["1", "x"]])
    assert run("import", "csv", first, "shop", "t", "--data-dir", folder).returncode == 0
    refused = run("import", "csv", second, "shop", "t", "--data-dir", folder)
    assert refused.returncode == 1
    assert "--append" in refused.stderr
    assert run("import", "csv", second, "shop", "t", "--append", "--data-dir", folder).returncode == 0
    refused = run("import", "csv", third, "shop", "t", "--append", "--data-dir", folder)
    assert refused.returncode == 1
    assert "no column c" in refused.stderr
    assert rows_of(folder, "shop", "SELECT * FROM t ORDER BY a") == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_bad_line_stops_the_import_before_anything_is_written(
    folder: Path, tmp_path: Path, form: str
) -> None:
    file = tmp_path / f"bad.{form}"
    file.write_text("a\n1\n2,3\n4\n" if form == "csv" else '{"a":1}\n\n{"a"\n{"a":4}\n')
    failed = run("import", form, file, "shop", "t", "--data-dir", folder)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "line 3:" in failed.stderr
    assert rows_of(folder, "shop", "SELECT name FROM sqlite_schema WHERE name = 't'") == []


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_bad_lines_are_skipped_by_choice_and_each_is_named(folder: Path, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"bad.{form}"
    file.write_text('a\n1\n2,3\n4\n"5\n6\n' if form == "csv" else '{"a":1}\n\n{"a"\n{"a":4}\n[5]\n{"a":6}\n')
    done = run("import", form, file, "shop", "t", "--on-error", "skip", "--data-dir", folder)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines() if line.startswith("line")] == [
        "line 3",
        "line 5",
    ]
    assert json.loads(done.stdout)["skipped"] == 2
    assert rows_of(folder, "shop", "SELECT a FROM t ORDER BY a") == [{"a": 1}, {"a": 4}, {"a": 6}]


def test_rows_that_break_a_rule_of_the_table_are_found_among_thousands(folder: Path, tmp_path: Path) -> None:
    numbers = [*range(7_000), 5, *range(7_000, 9_000), 8_999]
    file = write_csv(tmp_path / "keys.csv", [["id"], *([str(number)] for number in numbers)])
    arguments = ("import", "csv", file, "shop", "t", "--primary-key", "id", "--data-dir", folder)
    stopped = run(*arguments)
    assert stopped.returncode == 1
    assert "line 7002:" in stopped.stderr
    done = run(*arguments, "--on-error", "skip")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines() if line.startswith("line")] == [
        "line 7002",
        "line 9003",
    ]
    assert json.loads(done.stdout) | {"resumed_at_line": None} == {
        "database": "shop",
        "table": "t",
        "rows": 9_000,
        "skipped": 2,
        "resumed_at_line": None,
        "was_done_before": False,
    }
    assert rows_of(folder, "shop", "SELECT count(*) AS n FROM t") == [{"n": 9_000}]


def test_a_file_that_is_nothing_of_the_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    empty, cut = tmp_path / "empty.csv", tmp_path / "cut.csv.gz"
    empty.write_text("")
    cut.write_bytes(gzip.compress(b"a\n" + b"1\n" * 100_000)[:-20])
    for file, complaint in ((empty, "header"), (cut, "not a whole gzip file")):
        failed = run("import", "csv", file, "shop", "t", "--data-dir", folder)
        assert failed.returncode == 1
        assert complaint in failed.stderr
        assert "Traceback" not in failed.stderr


def test_a_database_file_is_copied_with_what_others_have_committed(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "source.sqlite"
    connection = sqlite3.connect(file)  # another process's file: only the command opens it with apsw
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("CREATE TABLE t (a INTEGER)")
    connection.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(1_000)])
    connection.commit()
    done = run("import", "sqlite", file, "copy", "--data-dir", folder)
    connection.close()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["database"] == "copy"
    assert rows_of(folder, "copy", "SELECT count(*) AS n, sum(a) AS s FROM t") == [{"n": 1_000, "s": 499_500}]
    again = run("import", "sqlite", file, "copy", "--data-dir", folder)
    assert again.returncode == 1
    assert "there is a database 'copy'" in again.stderr


def test_a_file_that_is_no_database_is_refused_and_leaves_nothing(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "source.sqlite"
    file.write_text("this is no database\n" * 100)
    failed = run("import", "sqlite", file, "copy", "--data-dir", folder)
    assert failed.returncode == 1
    assert "no SQLite database" in failed.stderr
    assert [path.name for path in (folder / "data").iterdir() if path.name.startswith("copy")] == []


def test_real_data_comes_in_whole(folder: Path, real_data: Path) -> None:
    done = run("import", "sqlite", real_data / "chinook.sqlite", "chinook", "--data-dir", folder)
    assert done.returncode == 0, done.stderr
    assert rows_of(folder, "chinook", "SELECT count(*) AS n FROM Track") == [{"n": 3_503}]
    chat = real_data / "chat_slack_ja.jsonl.gz"
    done = run("import", "jsonl", chat, "chat", "ja", "--primary-key", "id", "--data-dir", folder)
    assert json.loads(done.stdout)["rows"] == 19_041
    with gzip.open(chat, "rt", encoding="utf-8", newline="\n") as lines:
        expected = [json.loads(line)["text"] for line in lines]
    assert [row["text"] for row in rows_of(folder, "chat", "SELECT text FROM ja ORDER BY id")] == expected
