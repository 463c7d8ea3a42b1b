"""The chat: sends to their acknowledgement on disk, deliveries to many, what a connection costs, one device on a far line.

Everybody shares the machine with the load, so ratios are of runs beside each other. The peer keeps no numbers, rights
or bounds; what it does, it does as durably (WAL, FULL, a commit each).
"""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from dataserver.memory import tree_memory
from tests.benchmarks.bench import compare, interleaved
from tests.benchmarks.ratios import Bound, Row, versus
from tests.benchmarks.web import chat_servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

    from tests.benchmarks.bench import Bench
    from tests.benchmarks.web.chat_servers import ChatServer

SERVERS = ("uvicorn", "h2corn")
DELAY_S = 0.025
"""Each way, so that a round trip takes 50 ms."""
_WINDOW = 32
_KIB = 1 << 10
_PEER_NAME = "Starlette broadcast, aiosqlite"


@pytest.fixture(scope="module")
def chats(bench: Bench) -> Iterator[dict[str, ChatServer]]:
    bench.end_candidates()
    with ExitStack() as stack:
        running = {server: chat_servers.ours(bench.folder(f"chat {server}"), server) for server in SERVERS}
        running["peer"] = chat_servers.peer(bench.folder("chat peer"))
        running |= {f"empty {server}": chat_servers.empty(server) for server in SERVERS}
        for contender in running.values():
            contender.launch()
            stack.push(contender)
        for name, contender in running.items():
            contender.wait_until_it_listens()
            if name in SERVERS:
                contender.people()
        yield running


def test_idle_connections(bench: Bench, benchmark: BenchmarkFixture, chats: dict[str, ChatServer]) -> None:
    count = bench.sizes.chat_idle_count

    def measured(server: ChatServer) -> dict[str, float]:
        before = tree_memory(server.pid)
        clients = chat_servers.idle_clients(server, count)
        try:
            after = tree_memory(server.pid)
        finally:
            clients.communicate("", timeout=30)
        if before is None or after is None:
            pytest.skip("memory can't be known here")
        return {"kib": (after.pss_bytes - before.pss_bytes) / _KIB / count}

    rounds = {name: partial(measured, chats[name]) for name in (*SERVERS, "peer")}
    figures = interleaved(benchmark, rounds, count=1)
    for server in SERVERS:
        bench.add(
            compare(
                figures,
                group="chat: memory of the server for each idle connection that follows a room",
                what=f"{count:,} connections, {server}",
                ours=server,
                peer="peer",
                peer_name=_PEER_NAME,
                key="kib",
                unit="KiB",
                better="lower",
                floor=Bound(limit=40, of="ours"),
                goal=Bound(limit=40, of="ours"),
                note="PSS of the process tree before and after; the first that the server sees",
            )
        )


def test_sends(bench: Bench, benchmark: BenchmarkFixture, chats: dict[str, ChatServer]) -> None:
    seconds = bench.sizes.chat_seconds
    rounds = {
        f"socket {name}": partial(
            chat_servers.driven, chats[name], "sends", seconds=seconds, connection_count=32, window=8
        )
        for name in (*SERVERS, "peer")
    }
    if shutil.which("wrk"):
        names = (*SERVERS, *(f"empty {server}" for server in SERVERS), "peer")
        rounds |= {
            f"http {name}": partial(chat_servers.http_sends, chats[name], seconds=seconds) for name in names
        }
    figures = interleaved(benchmark, rounds, count=bench.sizes.chat_round_count, warms=False)
    group = (
        f"chat: sends to their acknowledgement on disk, beside an fdatasync of {bench.fdatasync_us:,.0f} us"
    )
    for server in SERVERS:
        row = partial(compare, figures, group=group, key="per_s", unit="/s")
        note = "32 connections, 8 in flight on each; the peer takes one at a time on each"
        bench.add(
            row(
                what=f"WebSocket, {server}", ours=f"socket {server}", peer="socket peer",
                peer_name=_PEER_NAME, note=note,
            )
        )  # fmt: skip
        if f"http {server}" in figures:
            bench.add(
                row(
                    what=f"HTTP, {server}", ours=f"http {server}", peer=f"http empty {server}",
                    peer_name="its empty answer", floor=Bound(limit=0.2), goal=Bound(limit=0.35),
                    note=f"wrk, {chat_servers.CONNECTION_COUNT} connections, a POST each",
                ),
                row(what=f"HTTP, {server}", ours=f"http {server}", peer="http peer", peer_name=_PEER_NAME),
            )  # fmt: skip


@pytest.mark.parametrize("place", [0, 1], ids=["few", "many"])
def test_deliveries(
    bench: Bench, benchmark: BenchmarkFixture, chats: dict[str, ChatServer], place: int
) -> None:
    count, window = bench.sizes.chat_delivery_sizes[place]
    fan_out = partial(
        chat_servers.driven, workload="fan_out", seconds=bench.sizes.chat_seconds, connection_count=count,
        window=window,
    )  # fmt: skip
    rounds = {name: partial(fan_out, chats[name], rate_per_s=0) for name in (*SERVERS, "peer")}
    figures = interleaved(benchmark, rounds, count=1, warms=False)
    group = f"chat: deliveries to {count:,} connections"
    for server in SERVERS:
        bench.add(
            compare(
                figures, group=group, what=f"as many as go, {server}", ours=server, peer="peer",
                peer_name=_PEER_NAME, key="per_s", unit="/s",
                note=f"{window} events on their way to all; the goal is 30,000/s",
            )
        )  # fmt: skip
        most = max(figure["per_s"] for figure in figures[server])
        half = fan_out(chats[server], rate_per_s=most / count / 2)
        bench.add(
            Row(
                group=group, what=f"p99 from send to delivery at half of it, {server}", peer_name="", unit="ms",
                better="lower", ours=half["p99_ms"], goal=Bound(limit=50, of="ours"),
                note="the send's commit is part of it",
            )
        )  # fmt: skip


def test_one_device_on_a_far_line(
    bench: Bench, benchmark: BenchmarkFixture, chats: dict[str, ChatServer]
) -> None:
    sends = partial(
        chat_servers.driven, chats["uvicorn"], "ordered", seconds=bench.sizes.chat_seconds, delay_s=DELAY_S
    )
    rounds = {"in flight": partial(sends, window=_WINDOW), "one": partial(sends, window=1)}
    figures = interleaved(benchmark, rounds, count=bench.sizes.chat_round_count, warms=False)
    bench.add(
        versus(
            group="chat: numbered sends of one device, 50 ms round trip",
            what=f"{_WINDOW} in flight, in order",
            ours=[figure["per_s"] for figure in figures["in flight"]],
            peer_name="ours, one at a time",
            peer=[figure["per_s"] for figure in figures["one"]],
            unit="/s",
            better="higher",
            note="through a proxy that delays; WebSocket, uvicorn",
        )
    )
