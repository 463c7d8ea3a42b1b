"""A chat out of a backup: what clients know of its streams is of another life."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from storage import restore

if TYPE_CHECKING:
    from pathlib import Path

    from storage import StorageSettings

_NEW_EPOCHS: Final = "UPDATE stream SET epoch = lower(hex(randomblob(8)))"
"""After the backup, numbers were given that will be given again: no client may go on from where it was."""


async def restore_chat(source: Path, path: Path, settings: StorageSettings) -> int:
    """Make the chat in the file `path` out of the backup `source`, and return its bytes; nobody may have it open.

    What came after the backup is gone, passwords and devices included; who follows a stream begins it anew.

    Raises:
        StorageError: As `storage.restore`; a file that is no chat is refused too.
    """
    return await restore(source, path, settings, then=[_NEW_EPOCHS])
