"""Encrypted database files: how a connection gets its key, and what is said when the key does not fit.

A database with a key is one of SQLite3 Multiple Ciphers, each page sealed by itself with ChaCha20-Poly1305: the file, its
write-ahead log and every copy of it. Only the build of apsw that is called `apsw-sqlite3mc` can do that. It is another
build of the same module, so it stands beside the plain one in a folder of its own (`INSTALLING`).

Decisions (2026-11-23, apsw-sqlite3mc 3.54.0.0 with SQLite 3.54.0 and SQLite3 Multiple Ciphers 2.6.1):

- The cipher is named rather than left to the build, whose default may become another one.
- A key is 32 random bytes and given as such (`raw:`): from a passphrase each opening would derive it, 64,007 rounds.
- The plain build takes `PRAGMA key` for an unknown pragma and says nothing, and a new database would be written in the
  clear. So whether this build can encrypt is asked first, and the key is tried before anything else is done.
- A connection with a key does not open a file that is not encrypted: who expects a sealed file has to hear that it is none.
- The pages are sealed, not the file: who can write it may put an older page in the place of a newer one. What the header
  tells (that it is in WAL mode, the page size), the sizes, and when which page is written can be seen.
- `PRAGMA rekey` in place is not used: whoever kills it leaves a file that one of two keys opens, by way of its journal.
  `rekeying` makes a copy instead.
- Sorting and other temporary work stays in memory (`temp_store`). A key lies in the memory of each worker, which neither a
  dump of that nor swap spares.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

if TYPE_CHECKING:
    from storage.file_keys import Key

CIPHER = "chacha20"
SEAL_BYTES = 32
"""What the seal of a page takes of it."""
INSTALLING = (
    "pip install --no-deps --target DIR apsw-sqlite3mc, and start Python with PYTHONPATH=DIR, "
    "so that it is found before the plain apsw"
)


class CannotEncrypt(apsw.Error):
    """This build of apsw knows no encryption."""


class OpensWithout(apsw.NotADBError):
    """A key is given, and the file is not encrypted."""


class DoesNotOpen(apsw.NotADBError):
    """The key is another one, or the file is no database."""


def can_encrypt() -> bool:
    """Return whether this process's apsw is the build that can."""
    return hasattr(apsw, "mc_version")


def unlock(connection: apsw.Connection, key: Key | None) -> None:
    """Give a new connection the key of its file, before anything else is asked of it; None for one in the clear.

    Raises:
        CannotEncrypt: This build of apsw can't.
        OpensWithout, DoesNotOpen: The key does not fit the file, which is as it was.
    """
    if key is None:
        return
    set_key(connection, key)
    try:
        connection.pragma("schema_version")
    except apsw.NotADBError as error:
        if _is_in_the_clear(connection.filename):
            raise OpensWithout("a key is given, and the file is not encrypted") from error
        raise DoesNotOpen("the key does not open the file") from error


def set_key(connection: apsw.Connection, key: Key) -> None:
    """Give `connection` a key without trying it."""
    if not can_encrypt():
        raise CannotEncrypt("this build of apsw can't encrypt")
    connection.pragma("cipher", CIPHER)
    connection.pragma("key", as_pragma(key))


def as_pragma(key: Key) -> str:
    """Return a key as SQLite3 Multiple Ciphers takes one that needs no deriving."""
    return f"raw:{key.raw.hex()}"


def _is_in_the_clear(path: str) -> bool:
    """Return whether SQLite reads the file without a key; it is opened by SQLite, as locks go when others close it."""
    connection = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        connection.pragma("schema_version")
    except apsw.Error:
        return False
    finally:
        connection.close()
    return True
