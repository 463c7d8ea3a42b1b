"""The crypto bridge gives the same in every kind of worker, and no kind of worker gets what it should not."""

from __future__ import annotations

import array
import hashlib
import os
import signal
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from tests.support.keys import MemoryBlocks, keyring
from tests.support.loops import one_loop
from tests.support.waiting import until
from workers import (
    Argon2id,
    BridgeSettings,
    DecryptError,
    KeyNotHere,
    Kind,
    MessageTooLarge,
    NoncesExhausted,
    Pbkdf2,
    PoolClosed,
    Scrypt,
    Secret,
    SignatureInvalid,
    SigningKey,
    WorkerDied,
    open_bridges,
    row_context,
)
from workers.errors import InvalidParameters
from workers.keys.envelopes import Head
from workers.keys.handover import HandedSecret
from workers.protocol import LAST
from workers.services.crypto.errors import FileRefused

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
    from pathlib import Path

    from workers.bridges.crypto import CryptoBridge
    from workers.keys.keyring import Keyring
    from workers.keys.sealer import Ticket

CONTEXT = row_context("settings", "config", 7)
SIZES = [0, 1, 70_000, 1_200_001]


@pytest.fixture(params=["inline", "thread", "process"], scope="module")
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture(scope="module")
async def crypto(kind: Kind) -> AsyncIterator[CryptoBridge]:
    """Give a bridge whose workers serve all tests of this file."""
    async with open_bridges(BridgeSettings(kind=kind)) as bridges:
        yield bridges.crypto


@asynccontextmanager
async def fresh(kind: Kind | None = None, **numbers: Any) -> AsyncIterator[CryptoBridge]:
    with anyio.fail_after(40):
        async with open_bridges(BridgeSettings(kind=kind, **numbers)) as bridges:
            yield bridges.crypto


@one_loop
async def test_what_is_encrypted_anywhere_is_decrypted_anywhere(crypto: CryptoBridge) -> None:
    ring = keyring()
    for size in SIZES:
        body = os.urandom(size)
        sealed = await crypto.encrypt(ring, body, context=CONTEXT)
        assert len(sealed) == size + 59
        assert await crypto.decrypt(ring, sealed, context=CONTEXT) == body
        assert ring.open(None, sealed, CONTEXT) == body
        assert await crypto.decrypt(ring, ring.seal(body, CONTEXT)[1], context=CONTEXT) == body


@one_loop
async def test_what_is_encrypted_twice_never_looks_alike(crypto: CryptoBridge) -> None:
    ring = keyring()
    sealed = [bytes(await crypto.encrypt(ring, bytes(300_000))) for _ in range(5)]
    heads = [Head.of(each) for each in sealed]
    assert len({(head.session, head.number) for head in heads}) == 5
    assert len({hashlib.sha256(each[43:]).digest() for each in sealed}) == 5


@one_loop
async def test_wrong_key_wrong_context_and_damage_are_one_error(crypto: CryptoBridge) -> None:
    ring, told = keyring(), set()
    sealed = bytes(await crypto.encrypt(ring, bytes(300_000), context=CONTEXT))
    stream = ring.ticket("stream").head.packed + bytes(300_000)
    for other, data, context in (
        (keyring(), sealed, CONTEXT),
        (ring, sealed, b"other"),
        (ring, sealed[:-1] + bytes([sealed[-1] ^ 1]), CONTEXT),
        (ring, sealed[:50] + bytes([sealed[50] ^ 1]) + sealed[51:], CONTEXT),
        (ring, sealed[:-1], CONTEXT),
        (ring, bytes(300_000), CONTEXT),
        (ring, stream, CONTEXT),
    ):
        with pytest.raises(DecryptError) as caught:
            await crypto.decrypt(other, data, context=context)
        told.add((type(caught.value), str(caught.value), repr(caught.value.details)))
    assert len(told) == 1


@one_loop
async def test_many_messages_go_in_few_hops_and_come_back_in_order(crypto: CryptoBridge) -> None:
    ring = keyring()
    items = [(os.urandom(number * 7 % 3_000), b"%d" % number) for number in range(700)]
    items.append((os.urandom(600_000), b"large"))
    before = crypto.stats().completed_count
    sealed = await crypto.encrypt_many(ring, items)
    heads = [Head.of(each) for each in sealed]
    assert len({(head.session, head.number) for head in heads}) == len(items)
    contexts = [context for _, context in items]
    opened = await crypto.decrypt_many(ring, list(zip(sealed, contexts, strict=True)))
    assert opened == [body for body, _ in items]
    assert crypto.stats().completed_count - before < 20


@pytest.mark.parametrize("count", [100, 400_000])
async def test_a_view_of_numbers_counts_by_its_bytes(crypto: CryptoBridge, count: int) -> None:
    ring, key, numbers = keyring(), SigningKey.generate("ed25519"), array.array("I", range(count))
    view, plain = memoryview(numbers), numbers.tobytes()
    assert await crypto.hash(view) == hashlib.sha256(plain).digest()
    assert await crypto.hash_many([view, b"other"]) == [await crypto.hash(plain), await crypto.hash(b"other")]
    sealed = [await crypto.encrypt(ring, view), *await crypto.encrypt_many(ring, [(view, b""), (b"x", b"")])]
    assert [bytes(await crypto.decrypt(ring, each)) for each in sealed] == [plain, plain, b"x"]
    streamed = b"".join([each async for each in crypto.encrypt_stream(ring, chunks_of(view))])
    assert b"".join([each async for each in crypto.decrypt_stream(ring, chunks_of(streamed))]) == plain
    assert await crypto.verify_many("ed25519", key.public, [(await crypto.sign(key, view), plain)]) == [True]
    with pytest.raises(TypeError, match="contiguous"):
        await crypto.hash(view[::2])


async def chunks_of(data: bytes | memoryview) -> AsyncIterator[bytes | memoryview]:
    yield data


@one_loop
async def test_a_closed_bridge_does_nothing_more(kind: Kind) -> None:
    ring = keyring()
    async with fresh(kind) as crypto:
        await crypto.close()
        for call in (partial(crypto.encrypt, ring), crypto.hash, partial(crypto.decrypt, ring)):
            with pytest.raises(PoolClosed):
                await call(b"data")


@one_loop
async def test_more_than_a_message_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.bridges.crypto_sealing.MAX_MESSAGE_BYTES", 300_000)
    async with fresh("thread") as crypto:
        await crypto.encrypt(keyring(), bytes(300_000))
        with pytest.raises(MessageTooLarge, match="at most 300000"):
            await crypto.encrypt(keyring(), bytes(300_001))


@one_loop
async def test_of_many_messages_those_that_do_not_open_are_none(crypto: CryptoBridge) -> None:
    ring = keyring()
    sealed = await crypto.encrypt_many(ring, [(b"one", b"1"), (b"two", b"2"), (b"three", b"3")])
    other = keyring().seal(b"four", b"4")[1]
    items = [(sealed[0], b"1"), (sealed[1], b"1"), (b"garbage", b""), (other, b"4"), (sealed[2], b"3")]
    assert await crypto.decrypt_many(ring, items) == [b"one", None, None, None, b"three"]
    assert await crypto.decrypt_many(ring, [(b"", b"")]) == [None]
    assert await crypto.decrypt_many(ring, []) == await crypto.encrypt_many(ring, []) == []


@one_loop
async def test_hashes_are_those_of_the_standard_library(crypto: CryptoBridge) -> None:
    for size in SIZES:
        data = os.urandom(size)
        assert await crypto.hash(data) == hashlib.sha256(data).digest()
        assert await crypto.hash(memoryview(data), "sha512") == hashlib.sha512(data).digest()
    many = [os.urandom(number) for number in range(0, 3_000, 7)]
    assert await crypto.hash_many(many) == [hashlib.sha256(each).digest() for each in many]
    blake3 = [await crypto.hash(each, "blake3") for each in many[:3]]
    assert await crypto.hash_many(many[:3], "blake3") == blake3


@one_loop
async def test_an_algorithm_that_is_not_known_is_refused(crypto: CryptoBridge) -> None:
    with pytest.raises(InvalidParameters):
        await crypto.hash(b"data", "md5")  # type: ignore[arg-type]  # what is tested


@one_loop
async def test_keys_are_derived_alike_and_never_in_another_process(kind: Kind) -> None:
    async with fresh(kind) as crypto:
        await derive_alike(crypto)
        assert "process" not in {pool.kind for pool in crypto.stats().pools}


async def derive_alike(crypto: CryptoBridge) -> None:
    for how in (
        Pbkdf2(salt=b"saltsalt", rounds=1_000),
        Scrypt(salt=b"saltsalt", cost=1_024),
        Argon2id(salt=b"saltsalt", memory_kib=64, passes=1, lanes=1),
    ):
        with Secret(b"passphrase") as passphrase:
            key = await crypto.derive_key(passphrase, how, length=48)
            assert key == await crypto.derive_key(b"passphrase", how, length=48)
            assert key != await crypto.derive_key(b"another", how, length=48)
            assert len(key) == 48


@pytest.mark.parametrize(
    "how",
    [
        lambda: Scrypt(salt=b"saltsalt", cost=1_000),
        lambda: Scrypt(salt=b"saltsalt", cost=1 << 24, block=64),
        lambda: Argon2id(salt=b"saltsalt", memory_kib=8, lanes=4),
    ],
    ids=["no power of two", "128 GiB", "lanes"],
)
def test_costs_that_make_no_sense_are_refused(how: Any) -> None:
    with pytest.raises(ValueError, match=r"scrypt|lanes"):
        how()


@one_loop
async def test_a_salt_that_is_too_short_and_a_key_that_is_too_long_are_refused() -> None:
    async with fresh() as crypto:
        with pytest.raises(InvalidParameters):
            await crypto.derive_key(b"passphrase", Pbkdf2(salt=b"short"))
        with pytest.raises(InvalidParameters):
            await crypto.derive_key(b"passphrase", Pbkdf2(salt=b"saltsalt"), length=1 << 20)


@pytest.mark.parametrize("algorithm", ["ed448", "ed25519"])
@one_loop
async def test_signatures_are_made_in_this_process_and_verified_anywhere(
    crypto: CryptoBridge, kind: Kind, algorithm: Any
) -> None:
    key = await crypto.generate_signing_key(algorithm)
    message = os.urandom(100_000)
    async with fresh(kind) as signing:
        signature = await signing.sign(key, message)
        assert signature == key.sign(message)
        assert "process" not in {pool.kind for pool in signing.stats().pools}
    await crypto.verify(algorithm, key.public, signature, message)
    other = await crypto.generate_signing_key(algorithm)
    for public, signed, told in (
        (other.public, signature, message),
        (key.public, signature[:-1] + b"\xff", message),
        (key.public, signature, message[1:]),
        (b"no key", signature, message),
        (key.public, b"", message),
    ):
        with pytest.raises(SignatureInvalid):
            await crypto.verify(algorithm, public, signed, told)
    messages = [b"%d" % number for number in range(20)]
    signatures = await crypto.sign_many(key, messages)
    pairs = list(zip(signatures, messages, strict=True))
    assert await crypto.verify_many(algorithm, key.public, [*pairs, (signatures[0], b"1")]) == [True] * 20 + [
        False
    ]


@one_loop
async def test_a_signing_key_that_nobody_holds_any_more_signs_nothing() -> None:
    async with fresh() as crypto:
        key = await crypto.generate_signing_key("ed25519")
        key.number += 1_000_000
        with pytest.raises(KeyNotHere):
            await crypto.sign(key, b"message")


def test_a_signing_key_is_sealed_and_loaded_again() -> None:
    ring, key = keyring(), SigningKey.generate("ed448")
    with key.exported() as raw:
        sealed = ring.seal(raw.buffer, b"signing")[1]
    again = SigningKey("ed448", Secret(ring.open(None, sealed, b"signing")))
    assert again.public == key.public
    assert key.sign(b"x") == again.sign(b"x")
    assert repr(key) == f"<signing key, ed448, public {key.public.hex()[:16]}>"
    with pytest.raises(TypeError, match="neither pickled"):
        key.__reduce_ex__(2)


@one_loop
async def test_a_file_is_encrypted_and_decrypted_with_progress(crypto: CryptoBridge, tmp_path: Path) -> None:
    ring, told = keyring(), list[tuple[int, int | None]]()
    source, sealed, opened = (str(tmp_path / name) for name in ("source", "sealed", "opened"))
    for size in (0, 1, 16_384, 2_000_000):
        content = os.urandom(size)
        await anyio.Path(source).write_bytes(content)
        await anyio.Path(opened).write_bytes(b"what was there")
        length = await crypto.encrypt_file(
            ring,
            source,
            sealed,
            context=CONTEXT,
            on_progress=lambda done, total, _: told.append((done, total)),
        )
        written = await anyio.Path(sealed).read_bytes()
        assert len(written) == length
        assert content[:16] not in written or size < 16
        assert await crypto.decrypt_file(ring, sealed, opened, context=CONTEXT) == size
        assert await anyio.Path(opened).read_bytes() == content
        assert (await anyio.Path(opened).stat()).st_mode & 0o777 == 0o600
    assert told
    assert all(0 < done <= (total or 0) <= 2_000_000 for done, total in told)
    left = sorted([each.name async for each in anyio.Path(tmp_path).iterdir()])
    assert left == ["opened", "sealed", "source"]


@one_loop
async def test_a_file_that_does_not_open_leaves_the_target_as_it_was(
    crypto: CryptoBridge, tmp_path: Path
) -> None:
    ring = keyring()
    source, sealed, opened = (anyio.Path(tmp_path / name) for name in ("source", "sealed", "opened"))
    await source.write_bytes(bytes(100_000))
    await opened.write_bytes(b"what was there")
    await crypto.encrypt_file(ring, source, sealed, context=CONTEXT)
    whole = await sealed.read_bytes()
    for data, context in (
        (whole, b"other"),
        (whole[:-1], CONTEXT),
        (whole[:-17], CONTEXT),
        (whole[:70_000], CONTEXT),
        (whole[:35], CONTEXT),
        (whole[:10], CONTEXT),
        (whole[:200] + b"x" + whole[201:], CONTEXT),
        (whole + b"x", CONTEXT),
        (ring.seal(b"a message")[1], CONTEXT),
    ):
        await sealed.write_bytes(data)
        with pytest.raises(DecryptError):
            await crypto.decrypt_file(ring, sealed, opened, context=context)
    with pytest.raises(FileRefused, match="No such file"):
        await crypto.decrypt_file(ring, tmp_path / "missing", opened)
    with pytest.raises(FileRefused, match="No such file"):
        await crypto.encrypt_file(ring, tmp_path / "missing", opened)
    with pytest.raises(FileRefused, match="target can't be written"):
        await crypto.encrypt_file(ring, source, tmp_path / "nowhere" / "sealed")
    with pytest.raises(FileRefused, match="target can't be written"):
        await crypto.encrypt_file(ring, source, tmp_path)
    assert await opened.read_bytes() == b"what was there"
    assert sorted([each.name async for each in anyio.Path(tmp_path).iterdir()]) == [
        "opened",
        "sealed",
        "source",
    ]


async def pieces(data: bytes, size: int) -> AsyncGenerator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_what_is_no_regular_file_is_refused_without_waiting_for_it(
    crypto: CryptoBridge, tmp_path: Path
) -> None:
    pipe, target = tmp_path / "pipe", tmp_path / "target"
    os.mkfifo(pipe)
    with anyio.fail_after(20):
        for source in (pipe, tmp_path, "/dev/zero"):
            for turn in (crypto.encrypt_file, crypto.decrypt_file):
                with pytest.raises(FileRefused, match="no regular file"):
                    await turn(keyring(), source, target)
    assert not await anyio.Path(target).exists()


@pytest.mark.parametrize("size", [1, 1_000, 300_000])
async def test_a_stream_is_encrypted_as_it_passes_and_is_what_a_file_is(size: int, tmp_path: Path) -> None:
    ring, content = keyring(), os.urandom(50 * size if size < 1_000 else 700_000)
    async with fresh() as crypto:
        sealed = b"".join(
            [piece async for piece in crypto.encrypt_stream(ring, pieces(content, size), context=CONTEXT)]
        )
        opened = b"".join(
            [piece async for piece in crypto.decrypt_stream(ring, pieces(sealed, size), context=CONTEXT)]
        )
        assert opened == content
        await anyio.Path(tmp_path / "sealed").write_bytes(sealed)
        await crypto.decrypt_file(ring, tmp_path / "sealed", tmp_path / "opened", context=CONTEXT)
        assert await anyio.Path(tmp_path / "opened").read_bytes() == content


@pytest.mark.parametrize("kept", [0, 10, 35, 90, 16_500, 40_000])
async def test_a_stream_that_was_cut_is_told_at_its_end(kept: int) -> None:
    ring = keyring()
    async with fresh() as crypto:
        sealed = b"".join([piece async for piece in crypto.encrypt_stream(ring, pieces(bytes(60_000), 999))])
        for stream in (sealed[:kept], ring.seal(b"a message" * 10)[1]):
            async with aclosing(pieces(stream, 999)) as chunks:
                with pytest.raises(DecryptError):
                    async for _ in crypto.decrypt_stream(ring, chunks):
                        pass


@one_loop
async def test_in_strict_mode_every_number_comes_from_the_store(kind: Kind) -> None:
    blocks = MemoryBlocks()
    ring = keyring(blocks=blocks)
    async with fresh(kind) as crypto:
        sealed = [await crypto.encrypt(ring, bytes(size)) for size in (1, 300_000, 1)]
        sealed += await crypto.encrypt_many(ring, [(b"%d" % number, b"") for number in range(20)])
        numbers = [Head.of(each).number for each in sealed]
        assert sorted(numbers) == list(range(23))
        assert all([await crypto.decrypt(ring, each) is not None for each in sealed])
    with pytest.raises(NoncesExhausted):
        ring.ticket("message", 100_000)


def watched_sessions(ring: Keyring) -> list[bytes]:
    """Return a list into which the session of each ticket of `ring` comes."""
    sessions: list[bytes] = []
    draw = ring.ticket

    def ticket(kind: Any = "message", count: int = 1) -> Ticket:
        drawn = draw(kind, count)
        sessions.append(drawn.head.session)
        return drawn

    ring.ticket = ticket  # type: ignore[method-assign]  # watched
    return sessions


async def killed_while(crypto: CryptoBridge, work: Callable[[], Awaitable[Any]]) -> Any:
    """Kill the worker once it has begun with `work`; return what comes of it, result or error."""
    await crypto.hash(bytes(100_000))
    slot = crypto._pools["process"]._dispatcher.slots[0]
    worker: Any = slot.worker
    came: list[Any] = []

    async def run() -> None:
        try:
            came.append(await work())
        except WorkerDied as error:
            came.append(error)

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await until(lambda: bool(came) or (bool(slot.in_flight) and worker.page[LAST] >= min(slot.in_flight)))
        os.kill(worker._process.pid, signal.SIGKILL)
    return came[0]


TRIES_COUNT = 20
"""A worker that was quicker than the test is not killed in time; then it is tried again."""


async def test_a_message_whose_worker_dies_is_sealed_in_another_session() -> None:
    ring, body = keyring(), bytes(24_000_000)
    sessions = watched_sessions(ring)
    async with fresh("process") as crypto:
        for _ in range(TRIES_COUNT):
            sessions.clear()
            sealed = await killed_while(crypto, partial(crypto.encrypt, ring, body))
            assert await crypto.decrypt(ring, sealed) == body
            assert Head.of(sealed).session == sessions[-1]
            if len(sessions) > 1:
                break
    assert len(set(sessions)) == len(sessions) == 2


async def test_a_file_whose_worker_dies_is_encrypted_all_the_same(tmp_path: Path) -> None:
    ring, source, sealed = keyring(), tmp_path / "source", tmp_path / "sealed"
    await anyio.Path(source).write_bytes(bytes(24_000_000))
    async with fresh("process") as crypto:
        for _ in range(TRIES_COUNT):
            await killed_while(crypto, partial(crypto.encrypt_file, ring, source, sealed))
            assert await crypto.decrypt_file(ring, sealed, tmp_path / "opened") == 24_000_000
            if crypto.stats().redone_count or crypto.stats().pools[0].restarts_count:
                return
    pytest.fail("no worker died in time")


@pytest.mark.parametrize("forced", ["thread", "process"])
async def test_a_file_that_nobody_waits_for_any_more_is_left_alone(forced: Kind, tmp_path: Path) -> None:
    """Once the worker is free for something else, the file is not there."""
    ring, source = keyring(), tmp_path / "source"
    await anyio.to_thread.run_sync(large_file, source)
    async with fresh(forced, worker_count=1) as crypto:
        with anyio.CancelScope() as scope:
            await crypto.encrypt_file(
                ring, source, tmp_path / "sealed", on_progress=lambda *_: scope.cancel()
            )
        assert scope.cancelled_caught
        await crypto.hash(bytes(100_000))
        left = {each.name async for each in anyio.Path(tmp_path).iterdir()}
        if forced == "thread":
            assert left == {"source"}
        assert "sealed" not in left  # of a process that had to be killed a part may be there


def large_file(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(4 << 30)


async def test_who_wants_no_second_try_is_told_that_the_worker_died() -> None:
    ring, body = keyring(), bytes(24_000_000)
    async with fresh("process", redo_in_process=False) as crypto:
        for _ in range(TRIES_COUNT):
            came = await killed_while(crypto, partial(crypto.encrypt, ring, body))
            if isinstance(came, WorkerDied):
                return
    pytest.fail("nobody was told that a worker had died")


@one_loop
async def test_a_worker_process_gets_a_subkey_that_is_overwritten_for_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was handed over is kept open by the test, which finds zeros in it when the task is over."""
    kept: list[tuple[int, bytes]] = []

    class Kept(HandedSecret):
        def __init__(self, secret: Secret) -> None:
            super().__init__(secret)
            kept.append((os.dup(self._file), bytes(secret.buffer)))

    monkeypatch.setattr("workers.bridges.crypto_sealing.HandedSecret", Kept)
    ring = keyring()
    data_key = ring._sealer.holds(ring.key_id)
    assert data_key is not None
    async with fresh("process") as crypto:
        sealed = await crypto.encrypt(ring, b"body", context=CONTEXT)
        assert await crypto.decrypt(ring, sealed, context=CONTEXT) == b"body"
        with pytest.raises(DecryptError):
            await crypto.decrypt(ring, sealed)
    assert len(kept) == 3
    for file, subkey in kept:
        assert subkey != bytes(data_key.buffer)
        assert await anyio.to_thread.run_sync(partial(os.pread, file, 100, 0)) == bytes(32)
        os.close(file)
