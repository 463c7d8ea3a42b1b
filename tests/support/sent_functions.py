"""Functions that tests send to the writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from storage import ConstraintViolated
from workers import PortableError

if TYPE_CHECKING:
    from storage import WriteTransaction

INSERT = "INSERT INTO item(name) VALUES (?)"


class OutOfStock(PortableError):
    """There is no more of it."""


def add(held: WriteTransaction, name: str) -> int:
    return held.insert(INSERT, [name])


def take_next_name(held: WriteTransaction, stem: str) -> str:
    (count,) = held.query_one("SELECT count(*) FROM item") or (0,)
    name = f"{stem} {count}"
    held.execute(INSERT, [name])
    return name


def add_and_fail(held: WriteTransaction, name: str) -> None:
    held.execute(INSERT, [name])
    raise ZeroDivisionError("a secret")


def refuse(held: WriteTransaction, name: str) -> None:
    held.execute(INSERT, [name])
    raise OutOfStock(f"there is no {name}")


def add_unless_there(held: WriteTransaction, name: str) -> bool:
    try:
        held.execute(INSERT, [name])
    except ConstraintViolated:
        return False
    return True


def roll_back_and_go_on(held: WriteTransaction, name: str) -> None:
    try:
        held.execute("INSERT OR ROLLBACK INTO item(name) VALUES (?)", [name])
    except ConstraintViolated:
        held.execute(INSERT, ["after the end"])


def drop_all(held: WriteTransaction) -> None:
    held.execute("DROP TABLE part")


def add_and_return_a_connection(held: WriteTransaction, name: str) -> Any:
    held.execute(INSERT, [name])
    return held


def add_many(held: WriteTransaction, count: int) -> int:
    for number in range(count):
        held.execute(INSERT, [f"item {number}"])
    return count


def add_each(held: WriteTransaction, names: list[str | None]) -> list[Any]:
    refused: list[list[Any]] = []
    added = held.execute_each(
        INSERT, [[name] for name in names], lambda place, error: refused.append([place, type(error).__name__])
    )
    return [added, refused]


def pages_kept(held: WriteTransaction, fails: int) -> int:
    """Expect many rows, and return what the connection's cache is then; or fail."""
    held.expect_many_rows()
    found: int = held._file.run_own("PRAGMA cache_size")[0][0]
    if fails:
        raise RuntimeError
    return found
