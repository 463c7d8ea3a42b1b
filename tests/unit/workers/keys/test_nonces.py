"""No (key, nonce) pair comes twice, whatever is allocated, sealed, crashed, forked and restored."""

from __future__ import annotations

import itertools
from collections import deque
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.support.keys import FixedSource, MemoryBlocks, MemoryStore, keyring
from workers.clock import SystemClock
from workers.keys import nonces
from workers.keys.envelopes import Head
from workers.keys.errors import DecryptError, NonceReused, NoncesExhausted, ReplayRefused
from workers.keys.keyring import Keyring
from workers.keys.nonces import ReplayGuard, SessionNumbers, StrictNumbers
from workers.keys.sealer import Sealer
from workers.keys.stored_keys import StoredKeys

if TYPE_CHECKING:
    from collections.abc import Coroutine


def done(work: Coroutine[Any, Any, None]) -> None:
    """Run what never waits."""
    with pytest.raises(StopIteration):
        work.send(None)


class Draws:
    """Random bytes that never repeat, until `start` is set back: then it gives again what it gave."""

    def __init__(self) -> None:
        self.start = 0

    def __call__(self, length: int) -> bytes:
        self.start += 1
        return self.start.to_bytes(length, "big")


class NonceMachine(RuleBasedStateMachine):
    """Processes that share a data key and a block store, and a recorder of every pair they use."""

    processes: Bundle[Keyring] = Bundle("processes")
    copies: Bundle[tuple[bytes, dict[str, int]]] = Bundle("copies")
    restores = True
    repeats = False

    def __init__(self) -> None:
        super().__init__()
        self.store, self.blocks, self.draws = MemoryStore(), MemoryBlocks(), Draws()
        keyring(self.store).close()
        self.pairs: list[tuple[str, bytes, int]] = []

    def process(self, *, strict: bool) -> Keyring:
        """Open the stored keyring; the limit of a session is low enough to be met."""
        stored = StoredKeys(self.store, FixedSource(), SystemClock())
        blocks = self.blocks if strict or self.repeats else None
        return Keyring(stored, stored.load(), Sealer(blocks, messages_per_session=5, draw=self.draws))

    def copy(self) -> tuple[bytes, dict[str, int]]:
        assert self.store.data is not None
        return self.store.data, dict(self.blocks.disk)

    @initialize(target=processes)
    def start_one(self) -> Keyring:
        return self.process(strict=True)

    @rule(target=processes, strict=st.booleans())
    def start(self, strict: bool) -> Keyring:
        return self.process(strict=strict)

    @initialize(target=copies)
    def back_up_at_first(self) -> tuple[bytes, dict[str, int]]:
        return self.copy()

    @rule(target=copies)
    def back_up(self) -> tuple[bytes, dict[str, int]]:
        return self.copy()

    @rule(ring=processes, count=st.integers(1, 5_000))
    def allocate(self, ring: Keyring, count: int) -> None:
        try:
            done(ring.prepare(count))
        except NonceReused:
            assert self.restores

    @rule(ring=processes, count=st.integers(1, 12))
    def encrypt(self, ring: Keyring, count: int) -> None:
        self.allocate(ring, 1)
        for number in range(count):
            try:
                used = (
                    ring.ticket("message").head if number % 4 == 3 else Head.of(ring.seal(b"body", b"row")[1])
                )
            except NoncesExhausted:
                return
            self.pairs.append((used.key_id, used.session, used.number))

    @rule(ring=processes)
    def fork(self, ring: Keyring) -> None:
        """Let a child go on with the memory that it inherits, and then the parent with its own, as it was."""
        sealer = ring._sealer
        session, strict = sealer._session, dict(sealer._strict)
        counted = getattr(session and session.numbers, "_next", None)
        held = {key: (deque(each._blocks), each._seen_end, each._mark) for key, each in strict.items()}
        nonces._note_fork()
        self.encrypt(ring, 3)
        nonces._forks_count -= 1
        sealer._session, sealer._strict = session, strict
        if session is not None and counted is not None:
            session.numbers._next = counted  # type: ignore[attr-defined]  # of `SessionNumbers`
        for key, (blocks, seen_end, mark) in held.items():
            strict[key]._blocks, strict[key]._seen_end, strict[key]._mark = blocks, seen_end, mark

    @rule(ring=processes)
    def reload(self, ring: Keyring) -> None:
        ring.reload()

    @rule(ring=processes)
    def rotate(self, ring: Keyring) -> None:
        ring.promote(ring.add())

    @precondition(lambda self: self.restores)
    @rule(copy=copies)
    def restore(self, copy: tuple[bytes, dict[str, int]]) -> None:
        """Come back with an older disk; processes that run then go on."""
        self.store.data, self.blocks.disk = copy[0], dict(copy[1])

    @precondition(lambda self: self.repeats)
    @rule()
    def clone(self) -> None:
        """Resume a machine whose random generator gives again what it has given."""
        self.draws.start = 0

    @invariant()
    def no_pair_was_used_twice(self) -> None:
        assert len(set(self.pairs)) == len(self.pairs)


class CloneMachine(NonceMachine):
    """The generator repeats; the store, in strict mode, keeps the promise alone."""

    restores = False
    repeats = True


_BOUNDS = settings(
    max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestWhateverIsRestored = NonceMachine.TestCase
TestWhateverIsRestored.settings = _BOUNDS
TestWhateverRepeats = CloneMachine.TestCase
TestWhateverRepeats.settings = _BOUNDS


def test_a_session_that_has_sealed_all_it_may_is_an_error() -> None:
    numbers = SessionNumbers(most=3)
    assert [numbers.take() for _ in range(3)] == [0, 1, 2]
    for _ in range(2):
        with pytest.raises(NoncesExhausted):
            numbers.take()


def test_a_keyring_begins_another_session_before_one_is_exhausted() -> None:
    store = MemoryStore()
    keyring(store)
    stored = StoredKeys(store, FixedSource(), SystemClock())
    ring = Keyring(stored, stored.load(), Sealer(messages_per_session=3))
    heads = [Head.of(ring.seal(b"body")[1]) for _ in range(7)]
    assert [head.number for head in heads] == [0, 1, 2, 0, 1, 2, 0]
    assert len({head.session for head in heads}) == 3


def test_strict_numbers_are_asked_for_in_blocks_and_taken_in_order() -> None:
    blocks = MemoryBlocks()
    numbers = StrictNumbers(blocks, "key", block_count=3)
    with pytest.raises(NoncesExhausted, match="prepare"):
        numbers.take()
    done(numbers.prepare(2))
    assert [numbers.take() for _ in range(3)] == [0, 1, 2]
    done(numbers.prepare(5))
    assert blocks.asked == [("key", 3), ("key", 5)]
    assert [numbers.take() for _ in range(5)] == [3, 4, 5, 6, 7]


def test_a_crash_loses_numbers_and_repeats_none() -> None:
    blocks = MemoryBlocks()
    first = StrictNumbers(blocks, "key", block_count=10)
    done(first.prepare())
    assert [first.take(), first.take()] == [0, 1]
    second = StrictNumbers(blocks, "key", block_count=10)
    done(second.prepare())
    assert second.take() == 10


def test_a_key_that_has_given_out_all_its_numbers_seals_nothing_more() -> None:
    numbers = StrictNumbers(MemoryBlocks(), "key", block_count=4, most=8)
    for _ in range(2):
        done(numbers.prepare(4))
        for _ in range(4):
            numbers.take()
    with pytest.raises(NoncesExhausted, match="given out its 8"):
        numbers.prepare(1).send(None)
    with pytest.raises(NoncesExhausted):
        numbers.take()


def test_a_store_that_was_wound_back_is_refused() -> None:
    blocks = MemoryBlocks()
    numbers = StrictNumbers(blocks, "key", block_count=4)
    done(numbers.prepare(4))
    blocks.disk.clear()
    with pytest.raises(NonceReused):
        numbers.prepare(5).send(None)
    assert [numbers.take() for _ in range(4)] == [0, 1, 2, 3]
    with pytest.raises(NoncesExhausted):
        numbers.take()


def test_a_key_has_numbers_of_its_own() -> None:
    blocks = MemoryBlocks()
    ring = keyring(blocks=blocks)
    done(ring.prepare(2))
    first = Head.of(ring.seal(b"body")[1])
    ring.promote(ring.add())
    with pytest.raises(NoncesExhausted):
        ring.seal(b"body")
    done(ring.prepare(2))
    second = Head.of(ring.seal(b"body")[1])
    assert (first.number, second.number) == (0, 0)
    assert first.key_id != second.key_id


def test_a_forked_child_takes_no_number_of_its_parent() -> None:
    blocks = MemoryBlocks()
    numbers = StrictNumbers(blocks, "key", block_count=4)
    done(numbers.prepare(4))
    nonces._note_fork()
    assert numbers.at_hand_count == 0
    with pytest.raises(NoncesExhausted):
        numbers.take()


def test_a_replayed_message_is_refused_and_a_late_one_is_not() -> None:
    ring, guard = keyring(), ReplayGuard(window_count=4)
    sealed = [ring.seal(str(number).encode())[1] for number in range(6)]
    order = [0, 2, 1, 5, 3]
    assert [ring.open(None, sealed[each], guard=guard) for each in order] == [b"0", b"2", b"1", b"5", b"3"]
    for again in [*order, 1]:
        with pytest.raises(ReplayRefused):
            ring.open(None, sealed[again], guard=guard)
    assert ring.open(None, sealed[4], guard=guard) == b"4"


def test_a_forged_message_does_not_use_up_the_number_of_a_genuine_one() -> None:
    ring, guard = keyring(), ReplayGuard()
    sealed = ring.seal(b"body")[1]
    with pytest.raises(DecryptError):
        ring.open(None, sealed[:-1] + bytes([sealed[-1] ^ 1]), guard=guard)
    assert ring.open(None, sealed, guard=guard) == b"body"


def test_the_guard_remembers_no_more_sessions_than_it_may_and_lets_no_old_one_in_again() -> None:
    guard = ReplayGuard(max_sessions_count=2)
    guard.note(b"one", 0)
    guard.note(b"two", 0)
    with pytest.raises(ReplayRefused):
        guard.note(b"three", 0)
    with pytest.raises(ReplayRefused):
        guard.note(b"one", 0)
    guard.note(b"one", 1)


@pytest.mark.parametrize("window_count", [1, 2, 64])
def test_the_window_agrees_with_a_guard_that_remembers_everything(window_count: int) -> None:
    for order in itertools.product(range(5), repeat=5):
        guard, seen, newest = ReplayGuard(window_count=window_count), set[int](), -1
        for number in order:
            refused = number in seen or (bool(seen) and number <= newest - window_count)
            if refused:
                with pytest.raises(ReplayRefused):
                    guard.note(b"session", number)
            else:
                guard.note(b"session", number)
                seen.add(number)
                newest = max(newest, number)
