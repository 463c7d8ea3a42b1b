"""The run: a server that is killed, a bad network before it, clients in processes of their own, and the audit."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx2

from tests.crash.chat_log.log_lines import Line, lines, shares
from tests.support.flaky_proxy import FlakyProxy, Flaws, flaky_proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PASSWORD = "correct horse"  # noqa: S105 - of users that live for a minute
_START_LIMIT_S = 30.0
_CLIENT_LIMIT_S = 300.0
_PAGE_COUNT = 500
_ENVIRONMENT = {
    "DATASERVER_SENDS_PER_S": "100000",
    "DATASERVER_SEND_BURST": "100000",
    "DATASERVER_LOGIN_ATTEMPTS": "10000",
}


@dataclass
class Verdict:
    """What was done, and what is wrong; nothing is, if all counts of `wrong` are 0."""

    done: dict[str, int] = field(default_factory=dict)
    wrong: Counter[str] = field(default_factory=Counter)

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.wrong.total()


class Server:
    """`dataserver serve` on one folder and port, which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = _free_port()
        self.kill_count = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "dataserver", "serve", "--data-dir", str(self._folder / "data")]
        command += ["--port", str(self.port)]
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own command; starting takes a millisecond
                command, stdout=log, stderr=log, env={**os.environ, **_ENVIRONMENT}
            )
        with anyio.fail_after(_START_LIMIT_S):
            async with httpx2.AsyncClient(base_url=self.url) as http:
                while True:
                    try:
                        await http.get("/healthz")
                    except httpx2.TransportError:
                        await anyio.sleep(0.05)
                    else:
                        return

    async def kill(self) -> None:
        """End it as a power cut would end it for its clients."""
        assert self._process is not None
        self.kill_count += 1
        self._process.kill()
        await anyio.to_thread.run_sync(self._process.wait)

    async def stop(self) -> None:
        """End it in good order."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            await anyio.to_thread.run_sync(self._process.wait)


@asynccontextmanager
async def world(
    folder: Path, *, seed: int, flaws: Flaws | None = None
) -> AsyncIterator[tuple[Server, FlakyProxy]]:
    """Run a server and the proxy that clients reach it by."""
    server = Server(folder)
    await server.start()
    try:
        async with flaky_proxy(server.port, seed=seed, flaws=flaws) as proxy:
            yield server, proxy
    finally:
        with anyio.CancelScope(shield=True):
            await server.stop()


class Caller:
    """Calls the server as one user, by a good network."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self._http = http
        self._count = 0

    @classmethod
    async def registered(cls, url: str, name: str) -> Caller:
        """Return the caller of a new user."""
        http = httpx2.AsyncClient(base_url=url, timeout=30)
        answer = await http.post("/v1/auth/register", json={"name": name, "password": PASSWORD})
        answer.raise_for_status()
        http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return cls(http)

    async def post(self, path: str, **body: Any) -> dict[str, Any]:
        """Change something, under a new client id."""
        return await self._change("POST", path, body)

    async def put(self, path: str, **body: Any) -> dict[str, Any]:
        """Change something, under a new client id."""
        return await self._change("PUT", path, body)

    async def patch(self, path: str, **body: Any) -> dict[str, Any]:
        """Change something, under a new client id."""
        return await self._change("PATCH", path, body)

    async def get(self, path: str) -> dict[str, Any]:
        """Read something."""
        answer = await self._http.get(path)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def _change(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self._count += 1
        answer = await self._http.request(method, path, json={"client_id": f"caller-{self._count}", **body})
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    async def all(self, path: str, name: str) -> list[dict[str, Any]]:
        """Read all pages of a room's messages or events."""
        found: list[dict[str, Any]] = []
        while True:
            after = found[-1]["seq"] if found else 0
            page = (await self.get(f"{path}?after_seq={after}&limit={_PAGE_COUNT}"))[name]
            found += page
            if len(page) < _PAGE_COUNT:
                return found


async def run(
    folder: Path, *, line_count: int, client_count: int, kills: int, seed: int, flaws: Flaws | None = None
) -> Verdict:
    """Send a log, kill the server in between, and compare what the rooms hold with it."""
    verdict = Verdict()
    said = lines(line_count)
    async with world(folder, seed=seed, flaws=flaws) as (server, proxy):
        owner = await Caller.registered(server.url, "owner")
        space = (await owner.post("/v1/spaces", name="The log", is_open=True))["id"]
        names = sorted({line.room for _, line in said})
        rooms = {name: (await owner.post(f"/v1/spaces/{space}/rooms", name=name))["id"] for name in names}
        orders: list[tuple[Path, list[Line]]] = []
        for number, share in enumerate(shares(said, client_count)):
            member = await Caller.registered(server.url, f"client-{number}")
            await member.post(f"/v1/spaces/{space}/join")
            order = {
                "url": f"http://127.0.0.1:{proxy.port}",
                "store": str(folder / f"client-{number}"),
                "name": f"client-{number}",
                "password": PASSWORD,
                "lines": [[rooms[line.room], line.text] for line in share],
                "rooms": list(rooms.values()),
                "report": str(folder / f"report-{number}.json"),
            }
            place = folder / f"order-{number}.json"
            place.write_text(json.dumps(order), encoding="utf-8")
            orders.append((place, share))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_killing, server, owner, line_count, kills)
            async with anyio.create_task_group() as clients:
                for place, _ in orders:
                    clients.start_soon(_client, place, verdict)
            tasks.cancel_scope.cancel()
        await _audit(owner, rooms, orders, verdict)
        verdict.done = {
            "lines": len(said),
            "clients": client_count,
            "server killed": server.kill_count,
            **asdict(proxy.done),
            **verdict.done,
        }
    return verdict


async def _client(order: Path, verdict: Verdict) -> None:
    command = [sys.executable, "-m", "tests.crash.chat_log.child", str(order)]
    with order.with_suffix(".log").open("wb") as log:
        process = await anyio.open_process(command, stdout=log, stderr=log)
    async with process:
        with anyio.move_on_after(_CLIENT_LIMIT_S):
            if await process.wait() == 0:
                return
        if process.returncode is None:
            process.kill()
    verdict.wrong["clients that did not end well"] += 1


async def _killing(server: Server, owner: Caller, line_count: int, kills: int) -> None:
    """Kill the server whenever another part of the log is in the rooms."""
    for number in range(1, kills + 1):
        while True:
            page = await owner.get("/v1/rooms")
            if sum(room["last_seq"] for room in page["rooms"]) >= line_count * number / (kills + 1):
                break
            await anyio.sleep(0.05)
        await server.kill()
        await server.start()


async def _audit(
    owner: Caller, rooms: dict[str, str], orders: list[tuple[Path, list[Line]]], verdict: Verdict
) -> None:
    wrong = verdict.wrong
    wanted: Counter[tuple[str, str, str]] = Counter()
    in_order: dict[tuple[str, str], list[str]] = {}
    for place, share in orders:
        sender = place.stem.replace("order", "client")
        for line in share:
            wanted[line.room, sender, line.text] += 1
            in_order.setdefault((line.room, sender), []).append(line.text)
    found: Counter[tuple[str, str, str]] = Counter()
    last_seq: dict[str, int] = {}
    for name, room_id in rooms.items():
        messages = await owner.all(f"/v1/rooms/{room_id}/messages", "messages")
        events = await owner.all(f"/v1/rooms/{room_id}/events", "events")
        last_seq[room_id] = len(events)
        wrong["holes in a room's events"] += [each["seq"] for each in events] != [*range(1, len(events) + 1)]
        by_sender: dict[str, list[str]] = {}
        for message in messages:
            found[name, message["sender_name"], message["content"]] += 1
            by_sender.setdefault(message["sender_name"], []).append(message["content"])
        for sender, texts in by_sender.items():
            wrong["reordered"] += texts != in_order.get((name, sender), []) and Counter(texts) == Counter(
                in_order.get((name, sender), [])
            )
    wrong["lost"] += (wanted - found).total()
    wrong["doubled or of unknown origin"] += (found - wanted).total()
    verdict.done["messages in the rooms"] = found.total()
    for place, _ in orders:
        report = place.with_name(place.name.replace("order", "report"))
        if not report.exists():
            continue
        for seen in json.loads(report.read_text(encoding="utf-8")).values():
            verdict.done["events kept by clients"] = verdict.done.get("events kept by clients", 0) + len(seen)
            wrong["gaps in what a client kept"] += seen != [*range(seen[0], seen[-1] + 1)] if seen else False


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
