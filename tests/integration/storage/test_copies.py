"""A foreign SQLite file becomes a database: whole, checked, on disk, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import apsw
import pytest

from storage import DatabaseCorrupt, DatabaseExists, DatabaseNotFound, StorageSettings, open_databases
from storage.sqlite.copying_in import CopyInParams, CopyInService
from tests.support.loops import one_loop
from workers import Kind, Task, TaskCancelled


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A database with a table, an index, a view and a trigger, in rollback mode."""
    file = tmp_path / "source.sqlite"
    connection = apsw.Connection(str(file))
    connection.execute(
        """
        CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL);
        CREATE INDEX t_b ON t (b);
        CREATE VIEW v AS SELECT count(*) AS n FROM t;
        CREATE TRIGGER g AFTER DELETE ON t BEGIN SELECT raise(ABORT, 'no'); END;
        """
    )
    with connection:
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, f"text {n}" * 20) for n in range(5_000)])
    connection.close()
    return file


def copy_in(source: Path, target: Path, task: Task | None = None) -> int:
    params = CopyInParams(source=str(source), target=str(target))
    return CopyInService({}).copy_in(params, task or Task()).size_bytes


def content(file: Path) -> tuple[object, ...]:
    connection = apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return (
            connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name").fetchall(),
            connection.execute("SELECT count(*), sum(a), sum(length(b)) FROM t").fetchall(),
            connection.execute("PRAGMA integrity_check").fetchall(),
        )
    finally:
        connection.close()


def test_a_copy_has_everything_and_is_in_wal_mode_without_a_log_beside_it(
    source: Path, tmp_path: Path
) -> None:
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    size_bytes = copy_in(source, target)
    assert [path.name for path in target.parent.iterdir()] == ["copy.db"]
    assert size_bytes == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    assert target.read_bytes()[18:20] == b"\x02\x02"  # the file's own mark of WAL mode
    assert content(target) == content(source)


def test_what_lies_in_the_sources_log_is_copied_too(source: Path, tmp_path: Path) -> None:
    connection = apsw.Connection(str(source))
    connection.pragma("journal_mode", "wal")
    connection.wal_autocheckpoint(0)
    connection.execute("INSERT INTO t VALUES (10000, 'late')")
    copy_in(source, tmp_path / "copy.db")
    connection.close()
    assert content(tmp_path / "copy.db") == content(source)


def test_a_wal_mode_file_in_a_folder_that_cannot_be_written_is_read_as_it_lies(
    source: Path, tmp_path: Path
) -> None:
    connection = apsw.Connection(str(source))
    connection.pragma("journal_mode", "wal")
    connection.close()
    folder = tmp_path / "read only"
    folder.mkdir()
    expected = content(source)
    placed = source.rename(folder / "a?b#c.sqlite")
    folder.chmod(0o500)
    try:
        copy_in(placed, tmp_path / "copy.db")
    finally:
        folder.chmod(0o700)
    assert content(tmp_path / "copy.db") == expected


def test_a_name_that_is_taken_is_refused_and_its_file_untouched(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_bytes(b"mine")
    with pytest.raises(DatabaseExists):
        copy_in(source, target)
    assert target.read_bytes() == b"mine"


def test_what_is_no_sound_database_is_refused_and_leaves_nothing(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    text = tmp_path / "text.sqlite"
    text.write_text("no database at all\n" * 500)
    with pytest.raises(DatabaseCorrupt):
        copy_in(text, target)
    page_bytes = 4_096
    with source.open("r+b") as damaged:
        damaged.seek(3 * page_bytes)
        damaged.write(os.urandom(20 * page_bytes))
    with pytest.raises(DatabaseCorrupt):
        copy_in(source, target)
    with pytest.raises(DatabaseNotFound):
        copy_in(tmp_path / "none", target)
    assert list(target.parent.iterdir()) == []


def test_a_copy_that_is_stopped_leaves_nothing(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    task = Task()
    task.stop()
    with pytest.raises(TaskCancelled):
        copy_in(source, target, task)
    assert list(target.parent.iterdir()) == []


def test_a_log_that_another_file_of_that_name_left_does_not_get_into_the_copy(
    source: Path, tmp_path: Path
) -> None:
    other = apsw.Connection(str(tmp_path / "other.db"))
    other.pragma("journal_mode", "wal")
    other.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)")
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"copy.db{suffix}").write_bytes((tmp_path / f"other.db{suffix}").read_bytes())
    other.close()
    copy_in(source, tmp_path / "copy.db")
    assert content(tmp_path / "copy.db") == content(source)


def test_what_a_crash_left_of_a_copy_is_in_nobodys_way(source: Path, tmp_path: Path) -> None:
    for suffix in ("", "-journal", "-wal"):
        (tmp_path / f"copy.db.importing{suffix}").write_bytes(b"left over" * 1_000)
    copy_in(source, tmp_path / "copy.db")
    assert content(tmp_path / "copy.db") == content(source)
    assert not list(tmp_path.glob("*.importing*"))


@one_loop
@pytest.mark.parametrize("kind", ["process", "thread"])
async def test_a_worker_copies_it_and_it_is_a_database_at_once(
    source: Path, tmp_path: Path, kind: Kind
) -> None:
    settings = StorageSettings(kind="thread" if kind == "thread" else "process", worker_count=1)
    async with open_databases(tmp_path / "databases", settings) as databases:
        copied = await databases.copy_in("copy", source)
        assert await copied.query("SELECT n FROM v") == [(5_000,)]
        assert databases.names() == ["copy"]
        with pytest.raises(DatabaseExists):
            await databases.copy_in("copy", source)
        with pytest.raises(DatabaseCorrupt):
            await databases.copy_in("other", Path(__file__))
        assert databases.names() == ["copy"]
