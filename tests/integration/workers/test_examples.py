"""Every example runs and says what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from workers.examples.__main__ import NAMES, found, main
from workers.examples.stage import MIB, Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

SAYS: dict[str, Sequence[str]] = {
    "encrypting": ["the same file: True"],
    "hashing": ["4 files, 2,097,152 bytes, three sums each"],
    "cancelling": ["cancelled: True", "the worker answers again", "a time limit does the same"],
    "network": ["http://127.0.0.1:PORT/: ok", "http://127.0.0.1:9/: refused", "half of 5 round trips"],
    "chunks": ["2,097,152 bytes in 2 chunks", "refused: chunk 1 is damaged", "split again: 1 chunk", "merged 2,097,152 bytes"],
    "compressing": ["zstd: 262,144 bytes", "gzip", "brotli", "the same again: True", "2000 messages", "are refused"],
    "shared_progress": ["2400 of 2400 steps", "seen on the way: rising True, to 100 %"],
    "own_service": ["inline: 'be' is there 2000 times", "process: 'be' is there 2000 times", "longest"],
    "statistics": ["files: 20 done, 0 failed, 0 pending", "files-thread: 2 workers (thread)"],
    "retries": ["answered at try 3", "retried 2 times", "WorkerDied, begun: True"],
    "batches": ["1000 items in 20 calls, in order: True", "the limit held: True"],
    "transfer": ["in 1 chunks", "the same file: True"],
}  # fmt: skip


@pytest.fixture(scope="module")
def anyio_backend() -> Any:
    """Run them on the loop that they are run on by hand; the bridges' own tests use both."""
    return "asyncio", {"use_uvloop": True}


@pytest.mark.parametrize("name", NAMES)
async def test_an_example_runs_and_says_what_it_promises(name: str, tmp_path: Path) -> None:
    said: list[str] = []
    with anyio.fail_after(40):
        await found(name)(Stage(tmp_path, 2 * MIB, said.append))
    text = "\n".join(said)
    assert [promise for promise in SAYS[name] if promise not in text] == []
    assert ": False" not in text


def test_every_example_is_run_by_its_name() -> None:
    folder = Path(sys.modules[found.__module__].__file__ or "").parent
    with_example = {
        path.stem for path in folder.glob("*.py") if "async def example(" in path.read_text("utf-8")
    }
    assert with_example == set(NAMES) == set(SAYS)


def test_examples_are_run_from_the_command_line() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "workers.examples", "chunks", "hashing", "--mib", "2"],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    assert "refused: chunk 1 is damaged" in said.stdout
    assert said.stderr == ""


def test_an_unknown_example_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["nonsense"])
    assert caught.value.code == 2
    assert "nonsense" in capsys.readouterr().err
