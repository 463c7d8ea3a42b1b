"""Numbers that were given out are on disk, and are given to nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

import storage
from storage.nonce_blocks import NonceBlocks
from storage.settings import StorageSettings
from tests.support.keys import FixedSource, MemoryStore, keyring
from workers.keys.envelopes import Head
from workers.keys.keyring import open_keyring

if TYPE_CHECKING:
    from pathlib import Path

    from workers import BlockStore

THREADS = StorageSettings(kind="thread", worker_count=1)


async def test_blocks_follow_one_another_and_keys_have_their_own(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        async with storage.open(tmp_path / "keys.db", THREADS) as database:
            blocks: BlockStore = await NonceBlocks.open(database)
            assert [await blocks.reserve("one", 10), await blocks.reserve("one", 5)] == [0, 10]
            assert await blocks.reserve("other", 1) == 0
            assert await blocks.reserve("one", 1) == 15


async def test_what_was_given_out_before_a_restart_is_not_given_again(tmp_path: Path) -> None:
    with anyio.fail_after(20):
        for start in (0, 7, 14):
            async with storage.open(tmp_path / "keys.db", THREADS) as database:
                assert await (await NonceBlocks.open(database)).reserve("key", 7) == start


async def test_many_at_once_get_blocks_that_do_not_overlap(tmp_path: Path) -> None:
    given: list[range] = []

    async def take(blocks: NonceBlocks, count: int) -> None:
        start = await blocks.reserve("key", count)
        given.append(range(start, start + count))

    with anyio.fail_after(20):
        async with storage.open(tmp_path / "keys.db", THREADS) as database:
            blocks = await NonceBlocks.open(database)
            async with anyio.create_task_group() as group:
                for count in range(1, 51):
                    group.start_soon(take, blocks, count)
    numbers = [number for block in given for number in block]
    assert sorted(numbers) == list(range(sum(range(51))))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM nonce_block",
        "UPDATE nonce_block SET next = next - 1",
        "UPDATE nonce_block SET next = next",
        "UPDATE nonce_block SET key_id = 'other', next = next + 1",
    ],
)
async def test_no_statement_takes_numbers_back(tmp_path: Path, statement: str) -> None:
    with anyio.fail_after(20):
        async with storage.open(tmp_path / "keys.db", THREADS) as database:
            blocks = await NonceBlocks.open(database)
            await blocks.reserve("key", 3)
            with pytest.raises(storage.ConstraintViolated):
                await database.execute(statement)
            assert await blocks.reserve("key", 1) == 3


@pytest.mark.parametrize("count", [0, -1, (1 << 32) + 1])
async def test_a_block_has_a_size_that_makes_sense(tmp_path: Path, count: int) -> None:
    with anyio.fail_after(20):
        async with storage.open(tmp_path / "keys.db", THREADS) as database:
            with pytest.raises(ValueError, match="reserved at a time"):
                await (await NonceBlocks.open(database)).reserve("key", count)


async def test_a_keyring_in_strict_mode_gives_no_number_twice_over_restarts(tmp_path: Path) -> None:
    used: list[tuple[str, int]] = []
    keys = MemoryStore()
    keyring(keys).close()
    with anyio.fail_after(20):
        for _ in range(3):
            async with storage.open(tmp_path / "keys.db", THREADS) as database:
                ring = open_keyring(keys, FixedSource(), blocks=await NonceBlocks.open(database))
                await ring.prepare(3)
                heads = [Head.of(ring.seal(b"body")[1]) for _ in range(3)]
                used += [(head.key_id, head.number) for head in heads]
    assert len(set(used)) == 9
