"""How a request may end, and that each end is answered, counted and cleaned up after."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from typing_extensions import override

from dataserver.answers import Answer, AnyAnswer, StreamAnswer, stream_answer
from dataserver.departures import EXTENSION, TURN_S, Departures, Visit
from dataserver.front import Front
from dataserver.loop_lag import LoopLag
from dataserver.metrics import Metrics
from dataserver.recent_errors import RecentErrors
from storage import QueryTimedOut, StorageSaturated
from tests.support.asgi import Call
from tests.support.clocks import ManualClock


class Bench:
    """A front, and what it counts."""

    def __init__(self) -> None:
        self.departures = Departures()
        self.metrics = Metrics(LoopLag())
        self.front = Front(self.departures, self.metrics, RecentErrors(ManualClock()))
        self.interrupted = asyncio.Event()

    async def serve(self, call: Call, handle: Any) -> Call:
        await self.front.run("GET /x", handle, None, scope=call.scope, receive=call.receive, send=call.send)
        self.departures.close()
        assert self.departures.open_count == 0
        return call

    def count(self, status: int) -> float:
        for family in self.metrics.collect():
            for sample in family.samples:
                if sample.name.endswith("request_seconds_count") and sample.labels["status"] == str(status):
                    return sample.value
        return 0

    async def forever(self, *_: Any) -> AnyAnswer:
        try:
            await asyncio.Event().wait()
        finally:
            self.interrupted.set()
        raise AssertionError("nobody sets it")


async def answer(*_: Any) -> AnyAnswer:
    return Answer(b"{}")


async def test_an_answer_is_sent_and_counted() -> None:
    bench = Bench()
    call = await bench.serve(Call(), answer)
    assert (call.status, call.answer, bench.count(200)) == (200, b"{}", 1)


async def test_a_refusal_is_answered_with_its_status() -> None:
    async def refuse(*_: Any) -> AnyAnswer:
        raise QueryTimedOut("too slow")

    bench = Bench()
    call = await bench.serve(Call(), refuse)
    assert call.status == 504
    assert json.loads(call.answer) == {
        "error": {"code": "deadline_exceeded", "class": "transient", "message": "too slow"}
    }
    assert bench.count(504) == 1


async def test_saturation_says_when_to_come_back() -> None:
    async def refuse(*_: Any) -> AnyAnswer:
        raise StorageSaturated("1000 calls wait", retry_after_s=0.25)

    call = await Bench().serve(Call(), refuse)
    assert dict(call.sent[0]["headers"])[b"retry-after"] == b"1"
    assert json.loads(call.answer)["error"]["retry_after_ms"] == 250


async def test_a_bug_is_answered_without_detail_and_logged_once_with_its_traceback() -> None:
    async def fail(*_: Any) -> AnyAnswer:
        raise ZeroDivisionError("the secret of /home/me")

    with structlog.testing.capture_logs() as logs:
        call = await Bench().serve(Call(), fail)
    assert call.status == 500
    assert b"secret" not in call.answer
    assert json.loads(call.answer)["error"]["code"] == "internal"
    (event,) = logs
    assert (event["event"], event["log_level"]) == ("request.failed", "error")
    assert isinstance(event["exc_info"], ZeroDivisionError)


@pytest.mark.parametrize("told", [False, True], ids=["seen in receive", "told by the server"])
async def test_a_client_that_leaves_cancels_its_handler_and_is_sent_nothing(told: bool) -> None:
    bench = Bench()
    leave: list[Callable[[], None]] = []
    call = Call(extensions={EXTENSION: leave.append} if told else {})
    serving = asyncio.ensure_future(bench.serve(call, bench.forever))
    await asyncio.sleep(0)
    if told:
        leave[0]()
    else:
        call.left.set()
    await serving
    assert bench.interrupted.is_set()
    assert (call.sent, bench.count(499), bench.departures.departed_count) == ([], 1, 1)


async def test_a_departure_after_the_answer_cancels_nothing() -> None:
    bench = Bench()
    leave: list[Callable[[], None]] = []
    call = await bench.serve(Call(extensions={EXTENSION: leave.append}), answer)
    leave[0]()
    await asyncio.sleep(0)
    assert (call.status, bench.departures.departed_count) == (200, 0)


async def test_no_task_is_made_for_a_request_that_is_over_soon() -> None:
    bench = Bench()

    async def count_tasks(*_: Any) -> AnyAnswer:
        return Answer(b"%d" % len(asyncio.all_tasks()))

    before = len(asyncio.all_tasks())
    assert (await bench.serve(Call(), count_tasks)).answer == b"%d" % before


async def test_a_body_that_does_not_arrive_in_time_is_answered_408() -> None:
    bench = Bench()

    async def read(visit: Visit, *_: Any) -> AnyAnswer:
        bench.departures.expect_body(visit, TURN_S / 10)
        await visit.receive()
        raise AssertionError("it never comes")

    call = await bench.serve(Call(body=[]), read)
    assert (call.status, bench.count(408)) == (408, 1)
    assert (b"connection", b"close") in call.sent[0]["headers"]


async def test_the_servers_own_cancel_goes_on() -> None:
    bench = Bench()
    serving = asyncio.ensure_future(bench.serve(Call(), bench.forever))
    await asyncio.sleep(0)
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving
    assert bench.departures.open_count == 0


async def test_a_stream_that_fails_before_its_first_piece_has_a_status_of_its_own() -> None:
    async def pieces() -> Any:
        raise QueryTimedOut("too slow")
        yield b""

    async def stream(*_: Any) -> AnyAnswer:
        return await stream_answer(pieces(), b"text/csv")

    assert (await Bench().serve(Call(), stream)).status == 504


async def test_a_stream_that_fails_later_is_broken_off_and_never_ended() -> None:
    closed = asyncio.Event()

    async def pieces() -> Any:
        try:
            yield b"one"
            raise QueryTimedOut("too slow")
        finally:
            closed.set()

    async def stream(*_: Any) -> AnyAnswer:
        return await stream_answer(pieces(), b"text/csv")

    bench = Bench()
    call = await bench.serve(Call(), stream)
    assert call.status == 200
    assert call.sent[-1] == {"type": "http.response.body", "body": b"one", "more_body": True}
    assert closed.is_set()
    assert bench.count(504) == 1


async def test_a_stream_whose_client_leaves_without_having_read_it_is_closed() -> None:
    bench, closed, stuck = Bench(), asyncio.Event(), asyncio.Event()
    leave: list[Callable[[], None]] = []

    async def pieces() -> Any:
        try:
            while True:
                yield b"more"
        finally:
            closed.set()

    async def stream(*_: Any) -> AnyAnswer:
        return await stream_answer(pieces(), b"text/csv")

    class Unread(Call):
        @override
        async def send(self, message: Any) -> None:
            await super().send(message)
            if len(self.sent) > 3:
                stuck.set()
                await asyncio.Event().wait()

    serving = asyncio.ensure_future(bench.serve(Unread(extensions={EXTENSION: leave.append}), stream))
    await stuck.wait()
    leave[0]()
    await serving
    assert closed.is_set()


def test_a_stream_answer_has_a_status() -> None:
    async def none() -> Any:
        yield b""

    assert StreamAnswer(b"", none(), b"text/csv").status == 200
