"""The data folder: what lies where, and that one process at a time owns it.

    DIR/data/NAME.db    the databases        DIR/server.lock   who owns the folder now (flock; JSON inside)
    DIR/chat.db         the chat
    DIR/server.db       the tokens           DIR/server.sock   where the owner takes commands, while it serves
    DIR/backups/        dated copies of databases

The lock is `flock` on an open file: the kernel drops it with the process, however that ends, so a stale lock cannot
exist and a pid in the file is only there to be told. The descriptor is not inheritable: workers do not hold it.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

CHAT_FILE = "chat.db"
SERVER_FILE = "server.db"
_MAX_OWNER_BYTES = 4_096


class FolderError(Exception):
    """The data folder cannot be used; the text says why."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds the folder, as it wrote itself into the lock file."""

    pid: int
    command: str
    """The sub-command: `serve`, `import`, `query`, ..."""
    url: str = ""
    """Where it listens, once it does."""


class FolderInUse(FolderError):
    """Another process owns the folder; stop it, or send it the command through its socket."""

    def __init__(self, folder: Path, owner: Owner | None) -> None:
        who = "another process" if owner is None else f"`dataserver {owner.command}` (pid {owner.pid})"
        super().__init__(f"the data folder {folder} is in use by {who}; one server per data folder")
        self.folder = folder
        self.owner = owner


@dataclass(frozen=True)
class DataFolder:
    """The paths inside one data folder."""

    root: Path

    @property
    def databases(self) -> Path:
        """The folder of the databases, one `NAME.db` each."""
        return self.root / "data"

    @property
    def backups(self) -> Path:
        """The folder of dated backups; made with the first one."""
        return self.root / "backups"

    @property
    def server_database(self) -> Path:
        """The server's own database: tokens."""
        return self.root / SERVER_FILE

    @property
    def chat_database(self) -> Path:
        """The chat's own database, which `/v1/databases` does not reach."""
        return self.root / CHAT_FILE

    @property
    def own_files(self) -> dict[str, Path]:
        """The server's own databases by the names that commands know them by; no database of users has a dot in its name."""
        return {path.name: path for path in (self.chat_database, self.server_database)}

    def names_file(self, what: str) -> bool:
        """Return whether `what` is a backup or a path, and not the name of a database, be it of users or our own."""
        return "/" in what or (Path(what).suffix != "" and what not in self.own_files)

    def copy(self, what: str) -> Path:
        """Return the backup of the name `what`, or else the file at that path."""
        backup = self.backups / what
        return backup if "/" not in what and backup.is_file() else Path(what).absolute()

    def file(self, what: str) -> Path:
        """Return the file of the database `what`, of one of our own, or the backup or file that `what` names."""
        if self.names_file(what):
            return self.copy(what)
        return self.own_files.get(what, self.databases / f"{what}.db")

    @property
    def lock(self) -> Path:
        """The file that the owner locks."""
        return self.root / "server.lock"

    @property
    def socket(self) -> Path:
        """The Unix socket of the owner."""
        return self.root / "server.sock"

    def prepare(self) -> None:
        """Make the folders that are missing, readable by their user alone.

        Raises:
            FolderError: They cannot be made or written.
        """
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.databases.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise FolderError(f"the data folder {self.root} cannot be made: {error.strerror}") from error
        if not os.access(self.databases, os.W_OK | os.X_OK):
            raise FolderError(f"the data folder {self.databases} cannot be written by this user")


class Hold:
    """The folder is ours while this is open."""

    def __init__(self, descriptor: int, owner: Owner) -> None:
        self._descriptor = descriptor
        self.owner = owner

    def announce(self, url: str) -> None:
        """Write down where this process listens, for those who find the folder taken."""
        self.owner = msgspec.structs.replace(self.owner, url=url)
        _write_owner(self._descriptor, self.owner)


@contextmanager
def hold(folder: DataFolder, *, command: str) -> Iterator[Hold]:
    """Own `folder` until the block ends; it is made when it is missing.

    Raises:
        FolderInUse: Somebody else owns it.
        FolderError: It cannot be made, written or locked.
    """
    folder.prepare()
    try:
        descriptor = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise FolderError(f"the lock {folder.lock} cannot be opened: {error.strerror}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(folder.root, _read_owner(descriptor)) from error
        except OSError as error:
            reason = f"{error.strerror}: a network file system? ({sys.platform})"
            raise FolderError(f"the lock {folder.lock} cannot be taken: {reason}") from error
        owner = Owner(pid=os.getpid(), command=command)
        _write_owner(descriptor, owner)
        try:
            yield Hold(descriptor, owner)
        finally:
            os.ftruncate(
                descriptor, 0
            )  # the file stays: unlinking it would let two processes lock two inodes
    finally:
        os.close(descriptor)


def _read_owner(descriptor: int) -> Owner | None:
    try:
        return msgspec.json.decode(os.pread(descriptor, _MAX_OWNER_BYTES, 0), type=Owner)
    except msgspec.DecodeError:
        return None  # between its lock and its first write, or after its last one


def _write_owner(descriptor: int, owner: Owner) -> None:
    content = msgspec.json.encode(owner)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, content, 0)
