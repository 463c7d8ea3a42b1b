"""`dataserver import`: each row once, whatever happens; every bad line by its number."""

from __future__ import annotations

import csv
import gzip
import json
import signal
import sqlite3
import subprocess
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.command_line import THREADS, RunningServer, called, run, run_on_terminal, serving, start

ROW_COUNT = 60_000
Ended = subprocess.CompletedProcess[str]


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


@dataclass(frozen=True)
class Place:
    """A data folder, and a database in it that no other test uses."""

    folder: Path
    database: str
    server: RunningServer | None = None

    def bring(self, form: str, file: Path, table: str, *options: str) -> Ended:
        return called("import", form, file, self.database, table, *options, "--data-dir", self.folder)

    def bring_database(self, file: Path, by: Callable[..., Ended] = called) -> Ended:
        return by("import", "sqlite", file, self.database, "--data-dir", self.folder)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        if self.server is not None:
            url = f"{self.server.url}/v1/databases/{self.database}/query"
            answer = httpx2.post(url, headers=self.server.headers, json={"sql": sql})
            found: list[dict[str, Any]] = answer.json()["rows"]
            return found
        done = called("query", self.database, sql, "--data-dir", self.folder)
        assert done.returncode == 0, done.stderr
        rows: list[dict[str, Any]] = json.loads(done.stdout)
        return rows

    def types(self, table: str) -> dict[str, str]:
        sql = f"SELECT name, type FROM pragma_table_info('{table}')"  # noqa: S608 - a name of ours
        return {row["name"]: row["type"] for row in self.rows(sql)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("served"), environment=THREADS) as running:
        yield running


@pytest.fixture(scope="module")
def lonely_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alone")


@pytest.fixture
def served(server: RunningServer, request: pytest.FixtureRequest) -> Place:
    """A folder with a server on it."""
    return Place(server.data_dir, f"db{zlib.crc32(request.node.name.encode())}", server)


@pytest.fixture(params=["alone", "through a server"])
def place(request: pytest.FixtureRequest) -> Place:
    """A folder with nobody on it, or with a server."""
    if request.param == "alone":
        return Place(request.getfixturevalue("lonely_folder"), f"db{zlib.crc32(request.node.name.encode())}")
    served: Place = request.getfixturevalue("served")
    return served


def write_csv(file: Path, rows: list[list[str]]) -> Path:
    with file.open("w", newline="", encoding="utf-8") as out:
        csv.writer(out).writerows(rows)
    return file


def test_csv_gets_the_types_that_all_its_values_allow(place: Place, tmp_path: Path) -> None:
    file = write_csv(
        tmp_path / "goods.csv",
        [
            ["id", "price", "zip", "note", "ID"],
            ["1", "1.5", "01234", "a,\n\u201eb\u201c", ""],
            ["2", "3", "5", "", "7"],
        ],
    )
    done = place.bring("csv", file, "goods")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "database": place.database,
        "table": "goods",
        "rows": 2,
        "skipped": 0,
        "resumed_at_line": None,
        "was_done_before": False,
    }
    assert place.types("goods") == {
        "id": "INTEGER",
        "price": "REAL",
        "zip": "TEXT",
        "note": "TEXT",
        "ID_2": "INTEGER",
    }
    assert place.rows("SELECT * FROM goods") == [
        {"id": 1, "price": 1.5, "zip": "01234", "note": "a,\n\u201eb\u201c", "ID_2": None},
        {"id": 2, "price": 3.0, "zip": "5", "note": "", "ID_2": 7},
    ]


def test_compressed_json_lines_come_back_as_they_were(served: Place, tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"id": 1, "text": "\ufeff\u3000\u200b\x00\x03", "big": 9007199254740993, "list": [1, {"a": None}]},
        {"id": 2, "text": "", "mixed": "x", "yes": True},
        {"id": 3, "mixed": 1.5, "yes": False},
    ]
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()))
    assert served.bring("jsonl", file, "t").returncode == 0
    assert served.types("t") == {
        "id": "INTEGER",
        "text": "TEXT",
        "big": "INTEGER",
        "list": "TEXT",
        "mixed": "ANY",
        "yes": "INTEGER",
    }
    first, second, third = served.rows("SELECT * FROM t ORDER BY id")
    assert (first["text"], first["big"], json.loads(first["list"])) == (
        rows[0]["text"],
        rows[0]["big"],
        rows[0]["list"],
    )
    assert (second["mixed"], second["yes"], third["mixed"], third["yes"]) == ("x", 1, 1.5, 0)


def test_an_import_that_is_killed_goes_on_and_has_each_row_once(place: Place, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv.gz"
    text = "number,text\n" + "".join(f"{number},row {number}\n" for number in range(ROW_COUNT))
    file.write_bytes(gzip.compress(text.encode(), compresslevel=1))
    arguments = ("import", "csv", file, place.database, "t", "--data-dir", place.folder)
    for _ in range(2):
        killed = start(*arguments, environment={"DATASERVER_LOG_LEVEL": "debug"})
        assert killed.stderr is not None
        for line in killed.stderr:
            if "import.batch_stored" in line:
                break
        killed.send_signal(signal.SIGKILL)
        killed.communicate()
        assert killed.returncode == -signal.SIGKILL
    done = called(*arguments)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["rows"] == ROW_COUNT
    assert outcome["resumed_at_line"] > 1
    assert "going on after line" in done.stderr
    [counted] = place.rows("SELECT count(*) AS n, count(DISTINCT number) AS d, sum(number) AS s FROM t")
    assert counted == {"n": ROW_COUNT, "d": ROW_COUNT, "s": ROW_COUNT * (ROW_COUNT - 1) // 2}


def test_two_imports_of_one_file_at_once_do_not_double_a_row(served: Place, tmp_path: Path) -> None:
    row_count = 60_000
    file = write_csv(tmp_path / "rows.csv", [["number"], *([str(number)] for number in range(row_count))])
    arguments = ("import", "csv", file, served.database, "t", "--data-dir", served.folder)
    first = start(*arguments, environment={"DATASERVER_LOG_LEVEL": "debug"})
    assert first.stderr is not None
    while "import.batch_stored" not in first.stderr.readline():
        assert first.poll() is None
    second = called(*arguments)
    _, first_said = first.communicate()
    ends = [(first.returncode, first_said), (second.returncode, second.stderr)]
    assert 0 in {code for code, _ in ends}
    assert all(code == 0 or "another import of the same file" in said for code, said in ends)
    [counted] = served.rows("SELECT count(*) AS n, count(DISTINCT number) AS d FROM t")
    assert counted == {"n": row_count, "d": row_count}


def test_the_same_file_again_changes_nothing(served: Place, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "a.csv", [["a"], ["1"]])
    for was_done_before in (False, True):
        done = served.bring("csv", file, "t")
        assert json.loads(done.stdout)["was_done_before"] is was_done_before
    assert served.rows("SELECT count(*) AS n FROM t") == [{"n": 1}]


def test_another_file_is_added_only_when_asked_for(served: Place, tmp_path: Path) -> None:
    first = write_csv(tmp_path / "a.csv", [["a", "b"], ["1", "x"]])
    second = write_csv(tmp_path / "b.csv", [["B", "A"], ["y", "2"]])
    third = write_csv(tmp_path / "c.csv", [["a", "c"], ["1", "x"]])
    assert served.bring("csv", first, "t").returncode == 0
    refused = served.bring("csv", second, "t")
    assert refused.returncode == 1
    assert "--append" in refused.stderr
    assert served.bring("csv", second, "t", "--append").returncode == 0
    refused = served.bring("csv", third, "t", "--append")
    assert refused.returncode == 1
    assert "no column c" in refused.stderr
    assert served.rows("SELECT * FROM t ORDER BY a") == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]


def test_on_a_terminal_an_import_shows_a_bar_and_many_bad_lines_are_summed_up(
    served: Place, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "rows.csv", [["a"], *([["1"], ["2", "too many"]] * 150)])
    arguments = (
        "import",
        "csv",
        file,
        served.database,
        "t",
        "--on-error",
        "skip",
        "--data-dir",
        served.folder,
    )
    code, seen, data = run_on_terminal(*arguments, stream="stderr")
    assert code == 0
    assert "100%" in seen
    assert "rows.csv" in seen
    assert seen.count("the header has 1") == 100
    assert "and 50 more bad lines" in seen
    assert json.loads(data)["skipped"] == 150


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_bad_line_stops_the_import_before_anything_is_written(
    served: Place, tmp_path: Path, form: str
) -> None:
    file = tmp_path / f"bad.{form}"
    file.write_text("a\n1\n2,3\n4\n" if form == "csv" else '{"a":1}\n\n{"a"\n{"a":4}\n')
    failed = served.bring(form, file, "t")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "line 3:" in failed.stderr
    assert served.rows("SELECT name FROM sqlite_schema WHERE name = 't'") == []


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_bad_lines_are_skipped_by_choice_and_each_is_named(place: Place, tmp_path: Path, form: str) -> None:
    file = tmp_path / f"bad.{form}"
    file.write_text('a\n1\n2,3\n4\n"5\n6\n' if form == "csv" else '{"a":1}\n\n{"a"\n{"a":4}\n[5]\n{"a":6}\n')
    done = place.bring(form, file, "t", "--on-error", "skip")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines() if line.startswith("line")] == [
        "line 3",
        "line 5",
    ]
    assert json.loads(done.stdout)["skipped"] == 2
    assert place.rows("SELECT a FROM t ORDER BY a") == [{"a": 1}, {"a": 4}, {"a": 6}]


def test_rows_that_break_a_rule_of_the_table_are_found_among_thousands(served: Place, tmp_path: Path) -> None:
    numbers = [*range(7_000), 5, *range(7_000, 9_000), 8_999]
    file = write_csv(tmp_path / "keys.csv", [["id"], *([str(number)] for number in numbers)])
    stopped = served.bring("csv", file, "t", "--primary-key", "id")
    assert stopped.returncode == 1
    assert "line 7002:" in stopped.stderr
    done = served.bring("csv", file, "t", "--on-error", "skip")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stderr.splitlines() if line.startswith("line")] == [
        "line 7002",
        "line 9003",
    ]
    assert json.loads(done.stdout) | {"resumed_at_line": None} == {
        "database": served.database,
        "table": "t",
        "rows": 9_000,
        "skipped": 2,
        "resumed_at_line": None,
        "was_done_before": False,
    }
    assert served.rows("SELECT count(*) AS n FROM t") == [{"n": 9_000}]


def test_a_file_that_is_nothing_of_the_kind_is_refused(served: Place, tmp_path: Path) -> None:
    empty, cut = tmp_path / "empty.csv", tmp_path / "cut.csv.gz"
    empty.write_text("")
    cut.write_bytes(gzip.compress(b"a\n" + b"1\n" * 100_000)[:-20])
    for file, complaint in ((empty, "header"), (cut, "not a whole gzip file")):
        failed = served.bring("csv", file, "t")
        assert failed.returncode == 1
        assert complaint in failed.stderr
        assert "Traceback" not in failed.stderr


def test_a_database_file_is_copied_with_what_others_have_committed(served: Place, tmp_path: Path) -> None:
    file = tmp_path / "source.sqlite"
    connection = sqlite3.connect(file)  # another process's file: only the command opens it with apsw
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("CREATE TABLE t (a INTEGER)")
    connection.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(1_000)])
    connection.commit()
    done = served.bring_database(file, by=run)
    connection.close()
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["database"] == served.database
    assert served.rows("SELECT count(*) AS n, sum(a) AS s FROM t") == [{"n": 1_000, "s": 499_500}]
    again = served.bring_database(file, by=run)
    assert again.returncode == 1
    assert f"there is a database {served.database!r}" in again.stderr


def test_a_file_that_is_no_database_is_refused_and_leaves_nothing(served: Place, tmp_path: Path) -> None:
    file = tmp_path / "source.sqlite"
    file.write_text("this is no database\n" * 100)
    failed = served.bring_database(file)
    assert failed.returncode == 1
    assert "no SQLite database" in failed.stderr
    assert [path.name for path in (served.folder / "data").glob(f"{served.database}*")] == []


def test_real_data_comes_in_whole(served: Place, real_data: Path) -> None:
    done = served.bring_database(real_data / "chinook.sqlite")
    assert done.returncode == 0, done.stderr
    assert served.rows("SELECT count(*) AS n FROM Track") == [{"n": 3_503}]
    chat = real_data / "chat_slack_ja.jsonl.gz"
    done = served.bring("jsonl", chat, "ja", "--primary-key", "id")
    assert json.loads(done.stdout)["rows"] == 19_041
    with gzip.open(chat, "rt", encoding="utf-8", newline="\n") as lines:
        expected = [json.loads(line)["text"] for line in lines]
    assert [row["text"] for row in served.rows("SELECT text FROM ja ORDER BY id")] == expected
