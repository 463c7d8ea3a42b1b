"""What every bridge does: lazily opened pools, the same results everywhere, bounds, and a second try in process."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from tests.support.method_services import Numbers, Sum
from tests.support.waiting import until
from workers import (
    BridgeSettings,
    Kind,
    Placement,
    PoolClosed,
    PoolSaturated,
    WorkerDied,
    close_all,
    open_bridges,
)

if TYPE_CHECKING:
    from workers.bridges.own import ServiceBridge

SERVICE = "tests.support.method_services:BenchMethods"


@pytest.fixture(params=["inline", "thread", "process"])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


async def answer(bridge: ServiceBridge, into: list[Any], method: str, params: Any = None, **how: Any) -> None:
    """Append the outcome of a request, result or error, to `into`."""
    try:
        into.append((await bridge.request(method, params, Any, **how)).value)
    except Exception as error:  # noqa: BLE001 - the tests look at it
        into.append(error)


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


async def test_the_size_of_what_a_method_works_on_decides_where_it_runs() -> None:
    places = {"where": Placement(thread_from_bytes=10, process_from_bytes=100)}
    async with open_bridges() as bridges:
        bridge = bridges.service(SERVICE, placements=places)
        where = [(await bridge.request("where", None, str, size_bytes=size)).value for size in (9, 10, 99)]
        assert where == ["inline", "thread", "thread"]
        assert (await bridge.request("where", None, str, buffers=[b"x" * 100])).value == "process"


async def test_a_request_whose_worker_dies_is_done_again_in_process() -> None:
    async with open_bridges(BridgeSettings(kind="process")) as bridges:
        bridge = bridges.service(SERVICE)
        assert (await bridge.request("die_in_a_process", None, str, idempotent=True)).value == "thread"
        assert bridge.stats().redone_count == 1
        with pytest.raises(WorkerDied):
            await bridge.request("die", None, type(None), idempotent=False)


async def test_requests_beyond_the_bound_are_refused_and_the_others_answered() -> None:
    answers: list[Any] = []
    async with open_bridges(BridgeSettings(kind="thread", max_pending_count=100)) as bridges:
        bridge = bridges.service(SERVICE)
        async with anyio.create_task_group() as group:
            for _ in range(101):
                group.start_soon(partial(answer, bridge, answers, "count", 1))
        assert sum(isinstance(one, PoolSaturated) for one in answers) == 1
        assert answers.count(1) == 100
        assert bridge.stats().refused_count == 1


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
