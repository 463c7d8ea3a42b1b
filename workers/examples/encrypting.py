"""Encrypt a file with progress, and decrypt it again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio.to_thread

from workers import FileKeySource, create_keyring, open_bridges

if TYPE_CHECKING:
    from workers.examples.stage import Stage


async def example(stage: Stage) -> None:
    """Make a keyring, encrypt a file of any size as a stream, and decrypt it."""
    folder = stage.folder
    source = await anyio.to_thread.run_sync(FileKeySource.create, folder / "master.key")
    keyring = await anyio.to_thread.run_sync(create_keyring, folder / "keyring.json", source)
    size = await stage.write("report.txt")
    seen: list[int] = []

    def on_progress(done: int, total: int | None, _: str) -> None:
        if total:
            seen.append(done * 100 // total)

    async with open_bridges() as bridges:
        sealed = await bridges.crypto.encrypt_file(
            keyring,
            folder / "report.txt",
            folder / "report.sealed",
            context=b"report 7",
            on_progress=on_progress,
        )
        opened = await bridges.crypto.decrypt_file(
            keyring, folder / "report.sealed", folder / "again.txt", context=b"report 7"
        )
        same = await bridges.files.hash_many(["report.txt", "again.txt"], root=folder)
    stage.say(f"{size:,} bytes became {sealed:,}, and {opened:,} again; progress was told {len(seen)} times")
    stage.say(f"the same file: {same[0].digests == same[1].digests}")
