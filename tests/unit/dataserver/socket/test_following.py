"""A follower is told of every event once and in order, however reading, listening and losing are mixed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataserver.socket import following
from dataserver.socket.following import Follow
from dataserver.socket.frames import Frame


def frame(seq: int) -> Frame:
    return Frame(b"%d" % seq)


class Stream:
    """A stream that grows, its feed that lags behind, and a follower."""

    def __init__(self, committed: int, since: int) -> None:
        self.committed = committed
        self.heard = committed
        """The feed's place: what came before was told before the follower listened."""
        self.told: list[int] = []
        self.follow = Follow(1, lambda each: self.told.append(int(each.payload)))
        self.since = since

    def hear(self, count: int) -> None:
        for seq in range(self.heard + 1, min(self.heard + count, self.committed) + 1):
            self.follow.hear(seq, frame(seq))
            self.heard = seq

    def read(self, limit: int) -> None:
        for seq in range(self.follow.reached + 1, min(self.follow.reached + limit, self.committed) + 1):
            self.follow.take_read(seq, frame(seq))


STEPS = st.lists(st.tuples(st.sampled_from(["commit", "hear", "read"]), st.integers(1, 200)), max_size=30)


@given(st.integers(0, 50), st.data(), STEPS, STEPS, STEPS)
def test_nothing_is_missed_or_doubled_whatever_comes_between(
    committed: int,
    data: st.DataObject,
    before: list[tuple[str, int]],
    while_reading: list[tuple[str, int]],
    live: list[tuple[str, int]],
) -> None:
    stream = Stream(committed, data.draw(st.integers(0, committed)))
    # the feed may be behind what is committed when the follower begins to listen
    stream.heard = data.draw(st.integers(0, committed))
    for step, count in before:
        if step == "commit":
            stream.committed += count
        elif step == "hear":
            stream.hear(count)
    stream.follow.begin(2, stream.since, stream.committed)
    for step, count in while_reading:
        if step == "commit":
            stream.committed += count
        elif step == "hear":
            stream.hear(count)
        else:
            stream.read(count)
    while stream.follow.is_behind:
        stream.read(100)
    stream.follow.go_live()
    for step, count in live:
        if step == "commit":
            stream.committed += count
        else:
            stream.hear(count)
    stream.hear(stream.committed)
    assert stream.told == list(range(stream.since + 1, stream.committed + 1))


@given(st.integers(1, 10_000))
def test_what_is_held_is_bounded(count: int) -> None:
    follow = Follow(1, lambda _: None)
    for seq in range(1, count + 1):
        follow.hear(seq, frame(seq))
    assert len(follow._held or ()) <= following.MAX_HELD_COUNT


def test_one_that_is_over_tells_nothing() -> None:
    told: list[Frame] = []
    follow = Follow(1, told.append)
    follow.begin(2, 0, 1)
    follow.end()
    follow.take_read(1, frame(1))
    follow.hear(2, frame(2))
    assert not follow.is_behind
    follow.go_live()
    follow.hear(3, frame(3))
    assert told == []


def test_going_live_before_all_is_read_is_a_bug_that_shows() -> None:
    follow = Follow(1, lambda _: None)
    follow.begin(2, 0, 1)
    with pytest.raises(RuntimeError):
        follow.go_live()
