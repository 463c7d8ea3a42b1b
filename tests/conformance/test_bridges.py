"""What every bridge does: lazily opened pools, the same results everywhere, bounds, and a second try in process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from structlog.testing import capture_logs

from tests.support.loops import one_loop
from tests.support.method_services import Declined, Numbers, Sum
from tests.support.waiting import until
from workers import (
    BridgeSettings,
    InvalidParameters,
    Kind,
    Placement,
    PoolClosed,
    PoolSaturated,
    ServiceUnavailable,
    TaskCancelled,
    UnknownMethod,
    WorkerDied,
    close_all,
    open_bridges,
)
from workers.bridges.book import MAX_METHODS_COUNT, OTHER_METHODS

if TYPE_CHECKING:
    from pathlib import Path

    from workers.bridges.own import ServiceBridge

SERVICE = "tests.support.method_services:BenchMethods"


@pytest.fixture(params=["inline", "thread", "process"])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture(params=["thread", "process"])
def isolated(request: pytest.FixtureRequest) -> Kind:
    """The kinds in which requests run beside the loop."""
    chosen: Kind = request.param
    return chosen


async def answer(bridge: ServiceBridge, into: list[Any], method: str, params: Any = None, **how: Any) -> None:
    """Append the outcome of a request, result or error, to `into`."""
    try:
        into.append((await bridge.request(method, params, Any, **how)).value)
    except Exception as error:  # noqa: BLE001 - the tests look at it
        into.append(error)


@one_loop
async def test_a_bridge_starts_its_workers_when_it_is_first_asked(kind: Kind) -> None:
    async with open_bridges(BridgeSettings(kind=kind)) as bridges:
        bridge = bridges.service(SERVICE)
        assert bridges.service(SERVICE) is bridge
        assert bridge.stats().pools == ()
        assert (await bridge.request("add", Numbers(1, 2), Sum)).value == Sum(3)
        assert [pool.kind for pool in bridge.stats().pools] == [kind]
        assert bridge.stats().completed_count == 1


async def test_a_hundred_first_requests_at_once_open_one_pool() -> None:
    answers: list[Any] = []
    async with open_bridges(BridgeSettings(kind="thread")) as bridges:
        bridge = bridges.service(SERVICE)
        async with anyio.create_task_group() as group:
            for number in range(100):
                group.start_soon(partial(answer, bridge, answers, "count", number))
        assert sorted(answers) == list(range(100))
        assert len(bridge.stats().pools) == 1


@one_loop
async def test_the_size_of_what_a_method_works_on_decides_where_it_runs() -> None:
    places = {"where": Placement(thread_from_bytes=10, process_from_bytes=100)}
    async with open_bridges() as bridges:
        bridge = bridges.service(SERVICE, placements=places)
        where = [(await bridge.request("where", None, str, size_bytes=size)).value for size in (9, 10, 99)]
        assert where == ["inline", "thread", "thread"]
        assert (await bridge.request("where", None, str, buffers=[b"x" * 100])).value == "process"


@one_loop
async def test_a_request_whose_worker_dies_is_done_again_in_process() -> None:
    async with open_bridges(BridgeSettings(kind="process")) as bridges:
        bridge = bridges.service(SERVICE)
        assert (
            await bridge.request("die_in_a_process", None, str, idempotent=True, retries_count=0)
        ).value == "thread"
        assert bridge.stats().redone_count == 1
        with pytest.raises(WorkerDied):
            await bridge.request("die", None, type(None), idempotent=False)


async def test_requests_beyond_the_bound_are_refused_and_the_others_go_on() -> None:
    answers: list[Any] = []
    async with open_bridges(BridgeSettings(kind="thread")) as bridges:
        bridge = bridges.service(SERVICE)
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(partial(answer, bridge, answers, "obey", 60.0))
            await until(lambda: len(bridge.pending()) == 100)
            with pytest.raises(PoolSaturated) as caught:
                await bridge.request("count", 1, int)
            assert caught.value.reason == "pending_full"
            assert caught.value.retry_after_s > 0
            assert answers == []
            bridge.abort_all()
        assert bridge.stats().refused_count == 1
        assert (await bridge.request("count", 1, int)).value == 1


async def test_what_is_out_when_bridges_close_ends_with_an_error_and_nothing_is_left(kind: Kind) -> None:
    answers: list[Any] = []
    async with (
        anyio.create_task_group() as group,
        open_bridges(BridgeSettings(kind=kind, drain_s=0.01)) as bridges,
    ):
        bridge = bridges.service(SERVICE)
        await bridge.request("add", Numbers(1), Sum)
        if kind != "inline":
            group.start_soon(partial(answer, bridge, answers, "obey", 60.0, idempotent=True))
            await until(lambda: bridge.stats().pending_count == 1)
        await close_all()
        with pytest.raises(PoolClosed):
            await bridge.request("add", Numbers(1), Sum)
    assert [type(one) for one in answers] == ([] if kind == "inline" else [PoolClosed])


@one_loop
async def test_a_service_that_cannot_be_built_says_so_each_time_and_bridges_still_close(kind: Kind) -> None:
    async with open_bridges(BridgeSettings(kind=kind)) as bridges:
        bridge = bridges.service(SERVICE, options={"broken": True})
        for _ in range(2):
            with pytest.raises(ServiceUnavailable, match="could not be built: RuntimeError"):
                await bridge.request("add", Numbers(1), Sum)
        assert (await bridges.service(SERVICE, name="whole").request("add", Numbers(1), Sum)).value == Sum(1)


# -- requests by name -------------------------------------------------------------------------------------------------


@one_loop
async def test_a_request_names_a_channel_and_a_method() -> None:
    async with open_bridges(BridgeSettings(kind="thread", custom_service=SERVICE)) as bridges:
        assert (await bridges.request("custom", "add", Numbers(1, 2), Sum)).value == Sum(3)
        with pytest.raises(UnknownMethod):
            await bridges.request("custom", "subtract", Numbers(1, 2), Sum)
    async with open_bridges() as bridges:
        with pytest.raises(ValueError, match="custom_service"):
            await bridges.request("custom", "add", Numbers(1, 2), Sum)


@one_loop
async def test_an_idempotent_request_whose_worker_dies_is_tried_again_on_another(tmp_path: Path) -> None:
    async with open_bridges(BridgeSettings(kind="process", custom_service=SERVICE)) as bridges:
        answer = await bridges.request("custom", "die_once", str(tmp_path / "died"), str)
        assert answer.value == "process"
        (now,) = bridges.stats()
        assert (now.retried_count, now.redone_count, now.completed_count) == (1, 0, 1)


@one_loop
async def test_a_request_that_kills_every_worker_ends_in_this_process() -> None:
    async with open_bridges(BridgeSettings(kind="process", custom_service=SERVICE)) as bridges:
        answer = await bridges.request("custom", "die_in_a_process", None, str, retries_count=1)
        assert answer.value == "thread"
        (now,) = bridges.stats()
        assert (now.retried_count, now.redone_count) == (1, 1)


@one_loop
async def test_a_request_whose_process_does_not_answer_is_done_again_in_this_one() -> None:
    async with open_bridges(BridgeSettings(kind="process")) as bridges:
        bridge = bridges.service(SERVICE)
        answer = await bridge.request("deaf_in_a_process", 60.0, str, timeout_s=1.0)
        assert answer.value == "thread"


async def test_an_aborted_request_ends_alone_and_all_end_together(isolated: Kind) -> None:
    answers: list[Any] = []
    async with open_bridges(BridgeSettings(kind=isolated, worker_count=2)) as bridges:
        bridge = bridges.service(SERVICE)
        async with anyio.create_task_group() as group:
            for name in ("first", "second", "third"):
                group.start_soon(partial(answer, bridge, answers, "obey", 60.0, request_id=name))
            await until(lambda: len(bridge.pending()) == 3)
            with pytest.raises(ValueError, match="first"):
                await bridge.request("add", Numbers(1), Sum, request_id="first")
            assert bridge.abort("first")
            await until(lambda: len(answers) == 1)
            assert not bridge.abort("first")
            assert {each.id for each in bridge.pending()} == {"second", "third"}
            assert bridges.abort_all() == 2
        assert [type(one) for one in answers] == [TaskCancelled] * 3
        assert bridge.stats().aborted_count == 3
        assert (await bridge.request("add", Numbers(1), Sum)).value == Sum(1)


async def test_cancelling_its_scope_ends_a_request_and_nothing_else(isolated: Kind) -> None:
    answers: list[Any] = []
    scope = anyio.CancelScope()
    async with open_bridges(BridgeSettings(kind=isolated)) as bridges:
        bridge = bridges.service(SERVICE)
        async with anyio.create_task_group() as group:
            group.start_soon(partial(answer, bridge, answers, "obey", 60.0, scope=scope))
            await until(lambda: len(bridge.pending()) == 1)
            scope.cancel()
        assert [type(one) for one in answers] == [TaskCancelled]


async def test_a_full_bridge_is_waited_for_as_long_as_the_caller_will() -> None:
    answers: list[Any] = []
    async with open_bridges(BridgeSettings(kind="thread", max_waiting_bytes=1_000)) as bridges:
        bridge = bridges.service(SERVICE)
        async with anyio.create_task_group() as group:
            group.start_soon(partial(answer, bridge, answers, "obey", 0.1, buffers=[bytes(900)]))
            await until(lambda: any(pool.in_flight_count for pool in bridge.stats().pools))
            with pytest.raises(PoolSaturated):
                await bridge.request("digest", None, Any, buffers=[bytes(900)], max_wait_s=0.0)
            await bridge.request(
                "digest", None, Any, buffers=[bytes(900)], max_wait_s=20.0, retries_count=1_000
            )
        assert answers == ["waited"]


@one_loop
async def test_a_bridge_counts_by_method_and_tells_what_is_out(kind: Kind) -> None:
    async with open_bridges(BridgeSettings(kind=kind, debug=True)) as bridges:
        bridge = bridges.service(SERVICE)
        for _ in range(3):
            await bridge.request("add", Numbers(1), Sum)
        with pytest.raises(InvalidParameters):
            await bridge.request("count", "many", int)
        now = bridge.stats()
        assert {name: sum(each.counts) for name, each in now.methods.items()} == {"add": 3, "count": 1}
        assert (now.completed_count, now.failed_count, now.pending_count, now.oldest_age_s) == (3, 1, 0, 0.0)


async def test_each_request_is_logged_where_that_is_wanted_and_tells_nothing_of_what_it_holds() -> None:
    with capture_logs() as logged:
        for debug in (False, True):
            async with open_bridges(BridgeSettings(kind="inline", debug=debug)) as bridges:
                bridge = bridges.service(SERVICE, name="told")
                await bridge.request("add", Numbers(424_242), Sum)
                with pytest.raises(Declined):
                    await bridge.request("decline", "a secret", type(None))
    told = [each for each in logged if each["event"].startswith("workers.request_")]
    assert [(each["event"].removeprefix("workers.request_"), each["request"]) for each in told] == [
        ("began", "told-1"), ("answered", "told-1"), ("began", "told-2"), ("failed", "told-2"),
    ]  # fmt: skip
    assert told[3]["reason"] == "Declined"
    assert all(each["age_ms"] >= 0 and each["kind"] == "inline" for each in told)
    assert "424242" not in str(logged)
    assert "a secret" not in str(logged)


async def test_the_oldest_request_that_is_out_has_an_age() -> None:
    async with open_bridges(BridgeSettings(kind="thread")) as bridges:
        bridge = bridges.service(SERVICE)
        async with anyio.create_task_group() as group:
            for name in ("first", "second"):
                group.start_soon(partial(bridge.request, "obey", 60.0, str, request_id=name))
                await until(lambda name=name: name in {each.id for each in bridge.pending()})  # type: ignore[misc]  # bound now
            out, now = bridge.pending(), bridge.stats()
            assert ([each.id for each in out], now.pending_count) == (["first", "second"], 2)
            assert now.oldest_age_s >= out[0].age_s > out[1].age_s > 0
            group.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("name", "value"), [("kind", "fork"), ("max_pending_count", 0), ("timeout_s", 0), ("worker_count", -1)]
)
def test_a_senseless_number_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=name):
        BridgeSettings(**{name: value})  # type: ignore[arg-type]  # that is the point


# -- odd requests -----------------------------------------------------------------------------------------------------


async def test_a_channel_or_a_service_that_is_not_there_is_refused_by_name() -> None:
    async with open_bridges() as bridges:
        with pytest.raises(ValueError, match="no channel 'files'"):
            await bridges.request("files", "hash", None, Any)  # type: ignore[arg-type]  # that is the point
        for service in ("no_colon", "no.such.module:Class", "tests.support.method_services:Missing"):
            with pytest.raises(ServiceUnavailable, match="can't be imported"):
                await bridges.service(service).request("add", Numbers(1), Sum)
        with pytest.raises(ServiceUnavailable, match="no MethodService"):
            await bridges.service("tests.support.services:BenchService").request("echo", 1, int)


async def test_one_name_is_that_of_one_bridge() -> None:
    async with open_bridges() as bridges:
        bridges.service(SERVICE, name="mine")
        with pytest.raises(ValueError, match=SERVICE):
            bridges.service("tests.support.services:BenchService", name="mine")
        with pytest.raises(ValueError, match="comes with the library"):
            bridges.service(SERVICE, name="network")
        assert bridges.network.name == "network"


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout_s", 0), ("timeout_s", -1.0), ("timeout_s", float("nan")), ("max_wait_s", float("nan"))],
)
async def test_a_time_that_makes_no_sense_is_refused_and_nothing_runs(name: str, value: float) -> None:
    async with open_bridges(BridgeSettings(kind="inline")) as bridges:
        bridge = bridges.service(SERVICE)
        with pytest.raises(ValueError, match=name):
            await bridge.request("add", Numbers(1), Sum, **{name: value})  # type: ignore[arg-type]
        assert bridge.stats().pools == ()


async def test_methods_that_a_stranger_names_take_no_memory_without_end() -> None:
    async with open_bridges(BridgeSettings(kind="inline")) as bridges:
        bridge = bridges.service(SERVICE)
        for number in range(MAX_METHODS_COUNT + 50):
            with pytest.raises(UnknownMethod):
                await bridge.request(f"method {number}", None, Any)
        methods = bridge.stats().methods
        assert len(methods) == MAX_METHODS_COUNT + 1
        assert sum(methods[OTHER_METHODS].counts) == 50


async def test_a_request_whose_caller_leaves_is_counted_as_aborted() -> None:
    async with open_bridges(BridgeSettings(kind="thread")) as bridges:
        bridge = bridges.service(SERVICE)
        with anyio.move_on_after(0.01):
            await bridge.request("obey", 60.0, Any)
        now = bridge.stats()
        assert (now.completed_count, now.failed_count, now.aborted_count) == (0, 0, 1)
