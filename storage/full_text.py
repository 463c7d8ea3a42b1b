"""The SQL of a search index: an FTS5 table of its own, kept by triggers on the table it searches. Pure.

It follows every change, whoever makes it, within the same transaction. It holds the texts once more. An index without
a text of its own (external content) was tried: to take a row out it has to be told the old text exactly, a row that
REPLACE removes fires no DELETE trigger, and the next change of that key then finds the index damaged. Here a row that
went unnoticed (REPLACE over another UNIQUE column) is only left over: joined to the table, it is never an answer.

The table needs an INTEGER PRIMARY KEY: bare rowids may be others after a VACUUM. One that is renamed goes on filling the
index of its old name, which is not told with it any more: drop the index before, and make it anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Tokenizer = Literal["words", "stems", "trigrams"]

INDEX_PREFIX = "_search_of_"
"""Before the name of the table; such tables are not told with the others."""
_TOKENIZERS: dict[Tokenizer, str] = {
    "words": "unicode61 remove_diacritics 2",
    "stems": "porter unicode61 remove_diacritics 2",
    "trigrams": "trigram",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SearchIndex:
    """A search index to make."""

    table: str
    key: str
    """The table's INTEGER PRIMARY KEY."""
    columns: tuple[str, ...]
    tokenizer: Tokenizer = "words"
    """Whole words in small letters without accents, English words by their stems, or any three letters (for parts of
    words, and for languages without spaces)."""

    def __post_init__(self) -> None:
        if not self.columns:
            raise ValueError("a search index has at least one column")
        if self.tokenizer not in _TOKENIZERS:
            raise ValueError(f"tokenizer is {self.tokenizer!r}; allowed are {', '.join(_TOKENIZERS)}")


def search_table(table: str) -> str:
    """Return the name of the FTS5 table that is the search index of `table`."""
    return INDEX_PREFIX + table


def make_statements(index: SearchIndex) -> list[str]:
    """Return the statements that make `index`, in place of one that may be there, and fill it."""
    name, table, key = _quoted(search_table(index.table)), _quoted(index.table), _quoted(index.key)
    columns = ", ".join(map(_quoted, index.columns))
    fresh = f"DELETE FROM {name} WHERE rowid = new.{key};"  # noqa: S608 - quoted
    new = f"INSERT INTO {name} (rowid, {columns}) VALUES (new.{key}, {_of_new(index.columns)});"  # noqa: S608 - quoted
    old = f"DELETE FROM {name} WHERE rowid = old.{key};"  # noqa: S608 - quoted
    watched = ", ".join(map(_quoted, dict.fromkeys((index.key, *index.columns))))
    insert, update, delete = (_quoted(trigger) for trigger in _triggers(index.table))
    return [
        *drop_statements(index.table),
        f"CREATE VIRTUAL TABLE {name} USING fts5 ({columns}, tokenize='{_TOKENIZERS[index.tokenizer]}')",
        f"CREATE TRIGGER {insert} AFTER INSERT ON {table} BEGIN {fresh} {new} END",
        f"CREATE TRIGGER {update} AFTER UPDATE OF {watched} ON {table} BEGIN {old} {fresh} {new} END",
        f"CREATE TRIGGER {delete} AFTER DELETE ON {table} BEGIN {old} END",
        f"INSERT INTO {name} (rowid, {columns}) SELECT {key}, {columns} FROM {table}",  # noqa: S608 - quoted
    ]


def drop_statements(table: str) -> list[str]:
    """Return the statements that drop the search index of `table`, if there is one."""
    triggers = [f"DROP TRIGGER IF EXISTS {_quoted(trigger)}" for trigger in _triggers(table)]
    return [*triggers, f"DROP TABLE IF EXISTS {_quoted(search_table(table))}"]


def _triggers(table: str) -> tuple[str, str, str]:
    name = search_table(table)
    return f"{name}_insert", f"{name}_update", f"{name}_delete"


def _of_new(columns: Sequence[str]) -> str:
    return ", ".join(f"new.{_quoted(column)}" for column in columns)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
