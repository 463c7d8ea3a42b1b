"""The key of a table's rows: what a row is addressed by, and what makes an order of rows total.

A table's key is its primary key, if that can't be NULL; else its `rowid`, which its rows then show as a column of that
name. A view has none, nor has a table whose three names for the rowid are all taken by columns.
In an address the values of a key stand in the order of the key's columns, parted by commas; a comma inside a value is
written %2C. A BLOB is written `base64:` and its base64url text.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from dataserver.refusals import InvalidParameter
from dataserver.rows.columns import Column, Value, bound, columns_of

if TYPE_CHECKING:
    from storage import TableInfo

ROWID_NAMES: Final = ("rowid", "_rowid_", "oid")
_BLOB_PREFIX = "base64:"
_PLAIN_DIGITS = 18
"""So many digits are no more than 64 bits hold."""
_ZERO = ord("0")


@dataclass(frozen=True, slots=True)
class Key:
    """The columns that tell the rows of one table apart."""

    columns: tuple[Column, ...]
    shown: bool
    """Whether the columns are among those of the table; a bare rowid is not, and has to be selected by name."""

    is_one_integer: bool = False
    """Whether it is one column of whole numbers, for the shortest way from an address to a value."""

    @property
    def where(self) -> str:
        """The condition that selects one row, a question mark for each column."""
        return " AND ".join(f"{column.sql} = ?" for column in self.columns)


def key_of(table: TableInfo) -> Key | None:
    """Return the key of `table`; None for a view and for what has no key."""
    if table.kind != "table":
        return None
    columns = columns_of(table)
    primary = [columns[name] for name in table.primary_key]
    if primary and (_is_rowid_alias(table) or not any(column.nullable for column in primary)):
        is_one_integer = len(primary) == 1 and primary[0].affinity == "integer"
        return Key(
            tuple(replace(c, nullable=False) for c in primary), shown=True, is_one_integer=is_one_integer
        )
    if not table.has_rowid:
        return None
    taken = {name.lower() for name in columns}
    free = next((name for name in ROWID_NAMES if name not in taken), None)
    if free is None:
        return None
    return Key((Column(free, "integer", nullable=False),), shown=False, is_one_integer=True)


def _is_rowid_alias(table: TableInfo) -> bool:
    """Tell whether the primary key is one INTEGER column, which then is the rowid and never NULL."""
    if not table.has_rowid or len(table.primary_key) != 1:
        return False
    (name,) = table.primary_key
    return any(column.name == name and column.type.upper() == "INTEGER" for column in table.columns)


def key_values(key: Key, address: bytes) -> tuple[Value, ...]:
    """Return what the last part of an address, still percent-encoded, stands for.

    Raises:
        InvalidParameter: It has another number of values than the key, or one that can't be read.
    """
    if key.is_one_integer and address.isdigit() and len(address) <= _PLAIN_DIGITS and address[0] != _ZERO:
        return (int(address),)
    parts = address.split(b",")
    if len(parts) != len(key.columns):
        names = ",".join(column.name for column in key.columns)
        raise InvalidParameter(
            f"the key has {len(parts)} values; the key of this table is {names}", allowed=names.split(",")
        )
    return tuple(_value(part, column) for part, column in zip(parts, key.columns, strict=True))


def _value(part: bytes, column: Column) -> Value:
    try:
        text = unquote_to_bytes(part).decode() if b"%" in part else part.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameter(f"the key's {column.name} is no UTF-8 text") from error
    if text.startswith(_BLOB_PREFIX) and column.affinity == "blob":
        try:
            return base64.b64decode(text.removeprefix(_BLOB_PREFIX), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidParameter(
                f"the key's {column.name} is no base64url text after {_BLOB_PREFIX}"
            ) from error
    return bound(text, column.affinity)
