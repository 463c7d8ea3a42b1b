from __future__ import annotations

import threading
import time
from typing import Any

from tests.support.services import BatchBench, BenchService
from workers import Call
from workers.protocol import CANCELLED, FIRST, LAST, TIMED_OUT, Failure, Response
from workers.runner import Runner


class Bench:
    """A runner whose replies are kept."""

    def __init__(self, service: Any) -> None:
        self.replies: list[Any] = []
        self.page = [0, 0, 0]
        self.runner = Runner(service, emit=self.replies.append, log=lambda *_: None, page=self.page)

    def names(self) -> list[str]:
        return [reply.name if isinstance(reply, Failure) else "ok" for reply in self.replies]


def test_calls_run_in_order_and_the_page_says_what_was_begun() -> None:
    bench = Bench(BenchService({}))
    bench.runner.offer([Call(1, "echo", "a"), Call(2, "echo", "b")])
    assert bench.runner.run_next()
    assert (bench.page[FIRST], bench.page[LAST]) == (0, 1)
    assert bench.runner.run_next()
    assert not bench.runner.run_next()
    assert [(reply.seq, reply.value) for reply in bench.replies] == [(1, "a"), (2, "b")]


def test_a_call_that_waits_is_taken_back_at_once() -> None:
    bench = Bench(BenchService({}))
    bench.runner.offer([Call(1, "echo", 1), Call(2, "echo", 2)])
    bench.runner.cancel(2)
    bench.runner.run_next()
    assert not bench.runner.run_next()
    assert bench.names() == [CANCELLED, "ok"]


def test_a_cancel_that_comes_before_its_call_is_remembered() -> None:
    bench = Bench(BenchService({}))
    bench.runner.cancel(2)
    bench.runner.offer([Call(1, "echo", 1), Call(2, "echo", 2), Call(3, "echo", 3)])
    while bench.runner.run_next():
        pass
    assert bench.names() == ["ok", CANCELLED, "ok"]


def test_a_cancel_that_comes_after_its_call_does_nothing() -> None:
    bench = Bench(BenchService({}))
    bench.runner.offer([Call(1, "echo", 1)])
    bench.runner.run_next()
    bench.runner.cancel(1)
    bench.runner.offer([Call(2, "echo", 2)])
    bench.runner.run_next()
    assert bench.names() == ["ok", "ok"]


def test_a_call_past_its_deadline_does_not_run() -> None:
    bench = Bench(BenchService({}))
    bench.runner.offer([Call(1, "keep", ["x", 1], time.monotonic() - 1), Call(2, "keep", ["x", 2])])
    while bench.runner.run_next():
        pass
    assert bench.names() == [TIMED_OUT, "ok"]
    assert bench.replies[1].value is None


def test_what_was_recalled_is_not_run() -> None:
    bench = Bench(BenchService({}))
    bench.runner.offer([Call(1, "echo", 1), Call(2, "echo", 2)])
    bench.runner.run_next()
    assert bench.runner.recall() == [2]
    assert not bench.runner.run_next()


def test_an_interrupt_never_reaches_the_call_after_the_one_it_was_meant_for() -> None:
    bench = Bench(BenchService({}))
    calls = [Call(seq, "wait", 0.0005) for seq in range(1, 101)]
    bench.runner.offer(calls)
    done = threading.Event()

    def harass() -> None:
        while not done.is_set():
            bench.runner.cancel(1)

    thread = threading.Thread(target=harass)
    thread.start()
    while bench.runner.run_next():
        pass
    done.set()
    thread.join()
    assert all(isinstance(reply, Response) for reply in bench.replies[1:])


def test_a_batch_gives_each_call_its_own_outcome() -> None:
    bench = Bench(BatchBench({}))
    bench.runner.offer([Call(1, "write", "a"), Call(2, "refuse", None), Call(3, "write", "c")])
    assert bench.runner.run_next()
    assert [type(reply) for reply in bench.replies] == [Response, Failure, Response]
    assert [bench.replies[0].value, bench.replies[2].value] == [[1, 3, "a"], [1, 3, "c"]]


def test_a_batch_service_that_forgets_an_outcome_fails_the_batch_and_not_the_worker() -> None:
    class Forgetful(BatchBench):
        def run_batch(self, calls: Any) -> list[Any]:  # type: ignore[explicit-override]  # no override on 3.11
            return super().run_batch(calls)[:-1]

    bench = Bench(Forgetful({}))
    bench.runner.offer([Call(1, "write", "a"), Call(2, "write", "b")])
    bench.runner.run_next()
    assert [type(reply) for reply in bench.replies] == [Failure, Failure]
