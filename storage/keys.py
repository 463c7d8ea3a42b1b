"""The keys of encrypted databases on their way from where they are kept to where files are opened.

A key is asked for when storage is opened, once, and held while that is open: workers that are started later, backups and
copies need it too. It goes to worker processes in their options, through the socket that each of them has to its pool:
in no argument, no environment and no log. A variable that holds one is taken out of this process's environment by
`workers.EnvironmentKeySource`, before any worker starts.

A backup has the key of its database. Its file's name tells of which one it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio.to_thread

from storage.backup_names import database_of
from storage.errors import EncryptionUnavailable
from storage.file_keys import FileKeys, Key
from storage.sqlite.encryption import INSTALLING, can_encrypt
from workers import KeySourceRefused

if TYPE_CHECKING:
    from pathlib import Path

    from storage.settings import StorageSettings
    from workers import KeySource

EVERY_OTHER = "*"
"""Stands for the databases of a folder that have no key of their own."""
_SUFFIX = ".db"


async def with_folder_keys(settings: StorageSettings, folder: Path) -> StorageSettings:
    """Return `settings` with the keys of the databases in `folder`.

    Raises:
        EncryptionUnavailable: A key can't be had, or this build of apsw can't encrypt.
    """
    named = {name: source for name, source in settings.keys.items() if not name.endswith(_SUFFIX)}
    keys = await _keys_of(named)
    rest = keys.pop(EVERY_OTHER, None)
    by_path = {str(folder / f"{name}{_SUFFIX}"): key for name, key in keys.items()}
    inside = str(folder / _SUFFIX).removesuffix(_SUFFIX)
    return replace(settings, file_keys=FileKeys(by_path=by_path, folder=inside, rest=rest))


async def with_file_key(settings: StorageSettings, path: Path) -> StorageSettings:
    """Return `settings` with the key of a file that is opened alone: the one given for its whole name.

    Raises:
        EncryptionUnavailable: As `with_folder_keys`.
    """
    named = {name: source for name, source in settings.keys.items() if name == path.name}
    by_path = {str(path): key for key in (await _keys_of(named)).values()}
    return replace(settings, file_keys=FileKeys(by_path=by_path))


async def key_for(settings: StorageSettings, path: Path, *, otherwise: Key | None = None) -> Key | None:
    """Return the key of a file that may be a database, a file opened alone, or a backup of one; None where none is given.

    `otherwise` is that of a file whose name is not known.

    Raises:
        EncryptionUnavailable: As `with_folder_keys`.
    """
    known = settings.file_keys.of(str(path))
    if known is not None:
        return known
    for name in _names_of(path):
        if name in settings.keys:
            return await key_from(settings.keys[name], name)
    if otherwise is None and EVERY_OTHER in settings.keys:
        return await key_from(settings.keys[EVERY_OTHER], path.name)
    return otherwise


def _names_of(path: Path) -> list[str]:
    """Return the names under which the key of the file `path` may be given, the likeliest first."""
    original = database_of(path.name)
    return [path.name, path.name.removesuffix(_SUFFIX), *([] if original is None else [original])]


async def key_from(source: KeySource, name: str) -> Key:
    """Return the key of the database `name` from where it is kept.

    Raises:
        EncryptionUnavailable: It can't be had, or this build of apsw can't encrypt.
    """
    if not can_encrypt():
        raise EncryptionUnavailable(
            f"{name} is to be encrypted, and this build of apsw can't do that; {INSTALLING}"
        )
    return await anyio.to_thread.run_sync(_asked, source, name)


def _asked(source: KeySource, name: str) -> Key:
    from workers import Hardening  # noqa: PLC0415 - it comes with cryptography, which only who has keys needs

    try:
        with source.key(Hardening(salt=bytes(16))) as secret:  # a random key makes no use of it
            return Key(bytes(secret.buffer))
    except KeySourceRefused as error:
        raise EncryptionUnavailable(f"the key of {name} can't be had: {error}") from error


async def _keys_of(named: dict[str, KeySource]) -> dict[str, Key]:
    return {name: await key_from(source, name) for name, source in named.items()}
