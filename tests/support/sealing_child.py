"""A process that seals with a shared keyring in several threads and forks: `python -m tests.support.sealing_child`.

Arguments: the keyring's file, the key file, the file for the heads of the messages, threads, messages a thread.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from workers.keys.envelopes import MESSAGE_HEAD_BYTES
from workers.keys.keyring import create_keyring, open_keyring
from workers.keys.sources import FileKeySource

if TYPE_CHECKING:
    from workers.keys.keyring import Keyring

ROOT = Path(__file__).parents[2]


def seal_many(ring: Keyring, count: int, heads: list[bytes]) -> None:
    """Seal `count` messages and keep their heads: key, session and number."""
    for _ in range(count):
        heads.append(ring.seal(b"", b"row")[1][:MESSAGE_HEAD_BYTES])  # noqa: PERF401 - others append too


def seal_in_threads(ring: Keyring, threads_count: int, count: int) -> list[bytes]:
    """Seal `count` messages in each of several threads at once, and return their heads."""
    heads: list[bytes] = []
    threads = [threading.Thread(target=seal_many, args=(ring, count, heads)) for _ in range(threads_count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return heads


def main(keyring: str, key: str, out: str, threads: str, count: str) -> None:
    """Seal half, fork, and seal a quarter on each side of the fork with the session that both inherited."""
    ring = open_keyring(Path(keyring), FileKeySource(Path(key)))
    half, quarter = int(count) // 2, int(count) // 4
    heads = seal_in_threads(ring, int(threads), half)
    child = os.fork()
    heads = (heads if child else []) + seal_in_threads(ring, int(threads), quarter)
    Path(f"{out}-{os.getpid()}").write_bytes(b"".join(heads))
    if not child:
        os._exit(0)
    os.waitpid(child, 0)


def heads_of_processes(folder: Path, *, processes_count: int, threads_count: int, count: int) -> list[bytes]:
    """Return the heads of what several processes, each with threads and a fork, sealed with one keyring."""
    source = FileKeySource.create(folder / "kek")
    create_keyring(folder / "keys.json", source).close()
    arguments = [folder / "keys.json", folder / "kek", folder / "heads", threads_count, count]
    running = [
        subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "tests.support.sealing_child", *map(str, arguments)], cwd=ROOT
        )
        for _ in range(processes_count)
    ]
    assert [process.wait() for process in running] == [0] * processes_count
    sealed = b"".join(path.read_bytes() for path in sorted(folder.glob("heads-*")))
    return [sealed[at : at + MESSAGE_HEAD_BYTES] for at in range(0, len(sealed), MESSAGE_HEAD_BYTES)]


if __name__ == "__main__":
    main(*sys.argv[1:])
