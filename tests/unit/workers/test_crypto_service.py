"""The crypto service without a pool: what it does when a task is stopped or its key is gone, and how batches are cut."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.keys import keyring
from workers.errors import TaskCancelled
from workers.keys.envelopes import Head
from workers.keys.signing import SigningKey
from workers.methods import Reporter, Task
from workers.services.batches import GROUP_BYTES, GROUP_COUNT, grouped, joined, parted
from workers.services.crypto import service
from workers.services.crypto.errors import KeyNotHere
from workers.services.crypto.service import CryptoService

if TYPE_CHECKING:
    from pathlib import Path

    from workers.protocol import Progress

SERVICE = CryptoService({})
RING = keyring()


def task(*buffers: bytes | bytearray) -> Task:
    return Task([memoryview(each) for each in buffers])


def stopped(*buffers: bytes | bytearray) -> Task:
    made = task(*buffers)
    made.stop()
    return made


def sealing(count: int = 1, lengths: tuple[int, ...] = (4,)) -> tuple[service.SealParams, bytearray]:
    ticket = RING.ticket("message", count)
    params = service.SealParams(
        key_id=ticket.head.key_id,
        session=ticket.head.session,
        numbers=ticket.numbers,
        contexts=(b"row",) * count,
        lengths=lengths,
    )
    return params, ticket.key.buffer


def test_a_message_that_the_service_seals_is_opened_by_the_keyring() -> None:
    params, key = sealing()
    lengths, (out,) = SERVICE.seal(params, task(key, b"body"))
    assert lengths == [len(out.view)]
    assert RING.open(None, out.view, b"row") == b"body"


def test_with_a_key_that_was_wiped_nothing_is_sealed_and_nothing_is_opened(tmp_path: Path) -> None:
    """Its owner gave up while the task waited for its turn; a key of zeros would seal for everybody."""
    params, _ = sealing()
    (tmp_path / "source").write_bytes(b"body")
    files = service.FileParams(
        source=str(tmp_path / "source"), target=str(tmp_path / "target"), head=b"", context=b""
    )
    opening = service.OpenParams(keys=(0,), contexts=(b"",), lengths=(4,))
    calls: list[Any] = [
        lambda: SERVICE.seal(params, task(bytes(32), b"body")),
        lambda: SERVICE.open(opening, task(bytes(32), b"body")),
        lambda: SERVICE.seal_file(files, task(bytes(32))),
        lambda: SERVICE.open_file(files, task(bytes(32))),
    ]
    for call in calls:
        with pytest.raises(KeyNotHere, match="wiped"):
            call()
    assert not (tmp_path / "target").exists()


def test_a_stopped_task_does_nothing_more(tmp_path: Path) -> None:
    params, key = sealing()
    (tmp_path / "source").write_bytes(bytes(3_000_000))
    (tmp_path / "target").write_bytes(b"what was there")
    files = service.FileParams(
        source=str(tmp_path / "source"), target=str(tmp_path / "target"), head=b"head", context=b""
    )
    signing = SigningKey.generate("ed25519")
    calls: list[Any] = [
        lambda: SERVICE.seal(params, stopped(key, b"body")),
        lambda: SERVICE.hash(service.HashParams(algorithm="sha256", lengths=(4,)), stopped(b"body")),
        lambda: SERVICE.sign(service.SignParams(key=signing.number, lengths=(4,)), stopped(b"body")),
        lambda: SERVICE.seal_file(files, stopped(key)),
    ]
    for call in calls:
        with pytest.raises(TaskCancelled):
            call()
    assert (tmp_path / "target").read_bytes() == b"what was there"
    assert sorted(os.listdir(tmp_path)) == ["source", "target"]  # noqa: PTH208 - names are all that is asked


def test_a_task_that_is_stopped_midway_ends_at_its_next_slice() -> None:
    """It is stopped by the first report of its progress, after 1 of 5 MiB."""
    told: list[int] = []

    def stop(progress: Progress) -> None:
        told.append(progress.done)
        made.stop()

    made = Task([memoryview(bytes(5 << 20))], reporter=Reporter(stop))
    with pytest.raises(TaskCancelled):
        SERVICE.hash(service.HashParams(algorithm="blake3", lengths=(5 << 20,)), made)
    assert told == [1 << 20]


@pytest.mark.parametrize("lengths", [(3,), (5,), (2, 3), ()])
def test_lengths_that_are_not_those_of_the_input_are_refused(lengths: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="bytes for items"):
        SERVICE.hash(service.HashParams(algorithm="sha256", lengths=lengths), task(b"body"))


def test_a_message_of_another_key_does_not_spoil_its_neighbours() -> None:
    ticket = RING.ticket("message")
    head = Head(ticket.head.kind, ticket.head.key_id, ticket.head.session, 0)
    params, key = sealing()
    _, (out,) = SERVICE.seal(params, task(key, b"body"))
    good = bytes(out.view)
    bad = head.packed + bytes(30)
    opening = service.OpenParams(
        keys=(0, 0, 0), contexts=(b"row", b"row", b"other"), lengths=(len(good), len(bad), len(good))
    )
    opens, (bodies,) = SERVICE.open(opening, task(key, good + bad + good))
    assert opens == [True, False, False]
    assert bytes(bodies.view) == b"body" + bytes(14) + bytes(4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2 * GROUP_BYTES).map(bytes), max_size=6))
def test_a_batch_is_cut_into_groups_that_hold_all_of_it_in_order(items: list[bytes]) -> None:
    groups = list(grouped(items))
    assert [index for group in groups for index in group] == list(range(len(items)))
    for group in groups:
        part = [items[index] for index in group]
        assert len(part) == 1 or sum(map(len, part)) <= GROUP_BYTES
        assert [bytes(each) for each in parted(joined(part), [len(each) for each in part])] == part


def test_a_batch_of_tiny_items_is_cut_by_their_number() -> None:
    groups = list(grouped([b"x"] * (2 * GROUP_COUNT + 1)))
    assert [len(group) for group in groups] == [GROUP_COUNT, GROUP_COUNT, 1]


def test_a_worker_imports_neither_an_event_loop_nor_a_logger_nor_the_keyring() -> None:
    script = (
        "import sys, workers.services.crypto.service;"
        "print(sorted({'anyio', 'asyncio', 'structlog', 'apsw', 'workers.keys.keyring'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603 - our own code
    assert said.stdout.strip() == "[]"
