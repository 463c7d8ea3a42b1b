"""The network checks against real servers on this machine: the same in every kind of worker."""

from __future__ import annotations

import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import pytest

from tests.support import loopback
from tests.support.loops import ASYNCIO, on
from tests.support.waiting import until
from workers import BridgeSettings, InvalidParameters, Kind, TaskTimedOut, open_bridges
from workers.services.network.messages import Target

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractContextManager

    from workers.bridges.network import NetworkBridge

anyio_backend = on(ASYNCIO)  # what brings a request to its worker is tried on both in `test_bridges`

SOON_S = 0.3
LIMIT_S = 30.0


@pytest.fixture(
    params=["inline", "thread"]
)  # a process takes a second to import what it needs: one test below
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


@pytest.fixture
async def network(kind: Kind) -> AsyncIterator[NetworkBridge]:
    with anyio.fail_after(LIMIT_S):
        async with open_bridges(BridgeSettings(kind=kind)) as bridges:
            yield bridges.network


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    return loopback.certificate_in(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session")
def ports(certificate: tuple[ssl.SSLContext, str]) -> Iterator[dict[str, int]]:
    """Servers for all tests, by what they do."""
    body = bytes(300_000)
    portal = loopback.http("302 Found", "Location: http://portal.invalid/login\r\n")
    made: dict[str, AbstractContextManager[int]] = {
        "good": loopback.tcp_server(loopback.http()),
        "large": loopback.tcp_server(loopback.http("200 OK", body=body)),
        "portal": loopback.tcp_server(portal),
        "missing": loopback.tcp_server(loopback.http("404 Not Found")),
        "silent": loopback.tcp_server(loopback.silent),
        "hanging up": loopback.tcp_server(loopback.hanging_up),
        "nonsense": loopback.tcp_server(loopback.saying_nonsense),
        "breaking off": loopback.tcp_server(loopback.breaking_off),
        "tls": loopback.tcp_server(loopback.http(), certificate[0]),
        "stun": loopback.udp_server(loopback.bound),
        "stun refusing": loopback.udp_server(loopback.refusing),
        "stun silent": loopback.udp_server(lambda *_: []),
    }
    try:
        yield {name: server.__enter__() for name, server in made.items()} | {"closed": loopback.closed_port()}
    finally:
        for server in made.values():
            server.__exit__(None, None, None)


def url(port: int, scheme: str = "http") -> str:
    return f"{scheme}://{loopback.HOST}:{port}/"


async def test_several_urls_are_asked_at_once_and_each_says_how_it_did(
    network: NetworkBridge, ports: dict[str, int]
) -> None:
    expected: list[tuple[str | Target, str, int | None]] = [
        (url(ports["good"]), "ok", 204),
        (Target(url=url(ports["good"]), expected_status=204), "ok", 204),
        (Target(url=url(ports["large"]), expected_status=204), "captive", 200),
        (url(ports["portal"]), "captive", 302),
        (url(ports["missing"]), "status", 404),
        (url(ports["closed"]), "refused", None),
        (url(ports["silent"]), "timeout", None),
        (url(ports["hanging up"]), "reset", None),
        (url(ports["nonsense"]), "protocol", None),
        (url(ports["tls"], "https"), "tls", None),
        (url(ports["good"], "https"), "tls", None),
        (f"http://{'a' * 64}.invalid/", "dns", None),
        ("no url", "url", None),
    ]
    found = await network.connectivity([each for each, _, _ in expected], timeout_s=SOON_S * 3)
    assert [(each.reason, each.status) for each in found.checks] == [
        (reason, status) for _, reason, status in expected
    ]
    assert found.is_online
    assert all(bool(each.detail) == (each.reason != "ok") for each in found.checks)
    assert [each.url for each in found.checks] == [
        each if isinstance(each, str) else each.url for each, _, _ in expected
    ]


async def test_nobody_is_online_where_nobody_answers_as_he_should(
    network: NetworkBridge, ports: dict[str, int]
) -> None:
    found = await network.connectivity([url(ports["closed"]), url(ports["portal"])])
    assert not found.is_online


async def test_a_certificate_that_was_given_is_trusted_and_no_other(
    network: NetworkBridge, ports: dict[str, int], certificate: tuple[ssl.SSLContext, str]
) -> None:
    address = url(ports["tls"], "https")
    assert (await network.connectivity([address], ca_pem=certificate[1])).is_online
    trip = await network.latency(address, samples_count=2, interval_s=0.0, ca_pem=certificate[1])
    assert (trip.reason, trip.lost_count, len(trip.samples_ms)) == ("ok", 0, 2)
    assert (await network.latency(address, samples_count=2)).reason == "tls"


@pytest.mark.parametrize("scheme", ["http", "tcp"])
async def test_round_trips_are_counted_one_by_one(
    network: NetworkBridge, ports: dict[str, int], scheme: str
) -> None:
    seen: list[tuple[int, int | None]] = []
    trip = await network.latency(
        url(ports["good"], scheme),
        samples_count=5,
        interval_s=0.001,
        on_progress=lambda done, total, _: seen.append((done, total)),
    )
    assert (trip.reason, trip.lost_count, len(trip.samples_ms)) == ("ok", 0, 5)
    assert trip.connect_ms is not None
    assert 0 < trip.spread.min_ms <= trip.spread.p50_ms <= trip.spread.p99_ms <= trip.spread.max_ms
    assert {total for _, total in seen} <= {5}


async def test_a_round_trip_that_takes_too_long_is_lost_and_the_others_count(network: NetworkBridge) -> None:
    server = loopback.tcp_server(loopback.AnsweringSome(3))
    port = await anyio.to_thread.run_sync(server.__enter__)
    try:
        trip = await network.latency(url(port), samples_count=4, interval_s=0.0, timeout_s=SOON_S)
    finally:
        await anyio.to_thread.run_sync(server.__exit__, None, None, None)
    assert (trip.reason, len(trip.samples_ms), trip.lost_count) == ("ok", 2, 2)


async def test_latency_to_nobody_says_why_there_is_none(
    network: NetworkBridge, ports: dict[str, int]
) -> None:
    for address, reason in (
        (url(ports["closed"]), "refused"),
        (url(ports["closed"], "tcp"), "refused"),
        (url(ports["silent"]), "timeout"),
        (url(ports["hanging up"]), "reset"),
        ("tcp://host:nonsense/", "url"),
        ("tcp://nobody", "url"),
        ("ftp://host/", "url"),
    ):
        trip = await network.latency(address, samples_count=2, timeout_s=SOON_S)
        assert (trip.reason, trip.samples_ms, trip.connect_ms) == (reason, (), None), address


async def test_a_download_stops_at_its_bound(network: NetworkBridge, ports: dict[str, int]) -> None:
    address = url(ports["large"])
    whole = await network.bandwidth(address)
    assert (whole.reason, whole.status, whole.transferred_bytes, whole.is_bounded) == (
        "ok",
        200,
        300_000,
        False,
    )
    assert whole.bits_per_s > 0
    part = await network.bandwidth(address, max_bytes=100_000)
    assert part.is_bounded
    assert 100_000 <= part.transferred_bytes < 100_000 + 65_536


async def test_an_upload_sends_what_it_was_told_to(network: NetworkBridge, ports: dict[str, int]) -> None:
    sent = await network.bandwidth(url(ports["good"]), "up", max_bytes=200_001)
    assert (sent.reason, sent.status, sent.transferred_bytes) == ("ok", 204, 200_001)
    assert sent.bits_per_s > 0


async def test_a_transfer_that_fails_says_why_and_what_went_through(
    network: NetworkBridge, ports: dict[str, int]
) -> None:
    for name, reason, transferred in (
        ("closed", "refused", 0),
        ("missing", "status", 0),
        ("breaking off", "reset", 1_000),
    ):
        found = await network.bandwidth(url(ports[name]))
        assert (found.reason, found.transferred_bytes) == (reason, transferred), name
    slow = await network.bandwidth(url(ports["silent"]), max_s=SOON_S)
    assert (slow.reason, slow.is_bounded) == ("timeout", True)
    assert (await network.bandwidth("no url")).reason == "url"


async def test_a_stun_server_tells_our_address(network: NetworkBridge, ports: dict[str, int]) -> None:
    found = await network.stun(loopback.HOST, ports["stun"])
    assert (found.reason, found.mapped_host, found.tries_count) == ("ok", loopback.HOST, 1)
    assert found.mapped_port == found.local_port
    assert found.round_trip_ms is not None


async def test_a_lost_packet_is_sent_again(network: NetworkBridge) -> None:
    server = loopback.udp_server(loopback.DeafAtFirst(2))
    port = await anyio.to_thread.run_sync(server.__enter__)
    try:
        found = await network.stun(loopback.HOST, port)
    finally:
        await anyio.to_thread.run_sync(server.__exit__, None, None, None)
    assert (found.reason, found.tries_count) == ("ok", 2)


async def test_a_stun_server_that_gives_no_address_is_given_a_reason(
    network: NetworkBridge, ports: dict[str, int]
) -> None:
    for port, reason in (
        (ports["stun refusing"], "protocol"),
        (ports["stun silent"], "timeout"),
        (ports["closed"], "refused"),
    ):
        found = await network.stun(loopback.HOST, port, timeout_s=SOON_S)
        assert (found.reason, found.mapped_host) == (reason, None)
    assert (await network.stun("a" * 64, 1)).reason == "dns"


async def test_candidates_of_this_machine_are_there_whatever_the_server_does(
    network: NetworkBridge, ports: dict[str, int]
) -> None:
    alone = await network.gather_ice(use_ipv6=False)
    assert alone.reason == "ok"
    assert {each.kind for each in alone.candidates} <= {"host"}
    silent = await network.gather_ice(loopback.HOST, ports["stun silent"], use_ipv6=False, timeout_s=SOON_S)
    assert silent.reason == "timeout"
    hosts = sorted(each.host for each in alone.candidates)
    assert sorted(each.host for each in silent.candidates) == hosts
    assert (await network.gather_ice("a" * 64, use_ipv6=False)).reason == "dns"
    seen = await network.gather_ice(loopback.HOST, ports["stun"], use_ipv6=False)
    outside = [each for each in seen.candidates if each.kind == "srflx"]
    assert sorted(each.related_host or "" for each in outside) == hosts
    assert seen.reason == ("ok" if hosts else "timeout")


async def test_gathering_and_binding_get_four_seconds_and_no_more(network: NetworkBridge) -> None:
    with pytest.raises(InvalidParameters):
        await network.gather_ice(timeout_s=4.5)
    with pytest.raises(InvalidParameters):
        await network.stun("host", timeout_s=4.5)
    with pytest.raises(InvalidParameters):
        await network.connectivity([])
    with pytest.raises(InvalidParameters, match="certificate"):
        await network.connectivity([url(1)], ca_pem="nonsense")


@pytest.mark.parametrize("kind", ["process"])
async def test_a_process_does_every_check_as_the_others_do(
    network: NetworkBridge, ports: dict[str, int]
) -> None:
    good, large, closed = url(ports["good"]), url(ports["large"]), url(ports["closed"])
    found = await network.connectivity([good, closed, url(ports["silent"])], timeout_s=SOON_S)
    assert [each.reason for each in found.checks] == ["ok", "refused", "timeout"]
    assert (await network.latency(good, samples_count=3, interval_s=0.0)).lost_count == 0
    assert (await network.latency(url(ports["closed"], "tcp"))).reason == "refused"
    assert (await network.bandwidth(large)).transferred_bytes == 300_000
    assert (await network.bandwidth(good, "up", max_bytes=70_000)).transferred_bytes == 70_000
    assert (await network.stun(loopback.HOST, ports["stun"])).mapped_host == loopback.HOST
    assert (await network.stun(loopback.HOST, ports["closed"])).reason == "refused"
    assert (await network.gather_ice(use_ipv6=False)).reason == "ok"
    assert [pool.kind for pool in network.stats().pools] == ["process"]


@pytest.mark.parametrize("kind", ["thread"])
@pytest.mark.parametrize("check", ["connectivity", "latency", "stun", "gather_ice"])
async def test_a_resolver_that_hangs_holds_no_check_up(
    network: NetworkBridge, monkeypatch: pytest.MonkeyPatch, check: str
) -> None:
    freed, asked = threading.Event(), []

    def hang(*given: Any, **_: Any) -> Any:
        asked.append(given)
        freed.wait(LIMIT_S)
        raise socket.gaierror(socket.EAI_AGAIN, "no answer")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    calls: dict[str, Any] = {
        "connectivity": lambda: network.connectivity(["http://name.invalid/"], timeout_s=1.0),
        "latency": lambda: network.latency("http://name.invalid/", timeout_s=1.0),
        "stun": lambda: network.stun("name.invalid", timeout_s=1.0),
        "gather_ice": lambda: network.gather_ice("name.invalid", use_ipv6=False, timeout_s=1.0),
    }
    try:
        with anyio.fail_after(LIMIT_S / 2):
            found = await calls[check]()
    finally:
        freed.set()
    reason = found.checks[0].reason if check == "connectivity" else found.reason
    assert (reason, bool(asked)) == ("timeout", True)


@pytest.mark.parametrize("kind", ["thread"])
async def test_a_check_that_nobody_waits_for_any_more_ends_at_once(
    network: NetworkBridge, ports: dict[str, int]
) -> None:
    asked: list[Any] = []

    async def ask(scope: anyio.CancelScope) -> None:
        with scope:
            asked.append(await network.connectivity([url(ports["silent"])], timeout_s=50.0))

    scope = anyio.CancelScope()
    async with anyio.create_task_group() as group:
        group.start_soon(partial(ask, scope))
        await until(lambda: any(pool.busy_count for pool in network.stats().pools))
        scope.cancel()
    assert (await network.connectivity([url(ports["good"])], timeout_s=5.0)).is_online
    assert asked == []


async def test_a_deadline_of_the_request_ends_the_check(ports: dict[str, int]) -> None:
    with anyio.fail_after(LIMIT_S):
        async with open_bridges(BridgeSettings(kind="thread", redo_in_process=False)) as bridges:
            bridge: NetworkBridge = bridges.network
            with pytest.raises(TaskTimedOut):
                await bridge._request(
                    "connectivity",
                    {"targets": [{"url": url(ports["silent"])}], "timeout_s": 50.0},
                    dict[str, Any],
                    timeout_s=0.1,
                )
