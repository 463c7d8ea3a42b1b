"""The server of the matrix: a process of its own that does each client id once, and everything else wrong.

It may be killed at any moment; started again, it knows what it has done. That is its whole contract with a queue.
"""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from chat.testing.crash_matrix import server_log, wire
from chat.testing.crash_matrix.lifeline import until_cut
from chat.testing.crash_matrix.mischief import GOOD, Mischief, Weather, drawn
from chat.testing.crash_matrix.plan import accounts, is_refused
from chat.testing.crash_matrix.server_log import Record, ServerLog, What
from chat.testing.crash_matrix.wire import Channel

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from anyio.abc import TaskGroup

    from chat.testing.crash_matrix.wire import Request

_LONGEST_RETRY_AFTER_S = 0.2


class Deeds:
    """What the server has done, each client id once."""

    def __init__(self) -> None:
        self.settled: set[str] = set()
        """The names of the actions that were done or refused, but for the guarded ones: those may never arrive."""
        self._known: dict[str, tuple[str, int, Any]] = {}

    def answer_to(self, client_id: str) -> tuple[int, Any] | None:
        """Return the status and the answer that `client_id` was given, None if it was never seen."""
        known = self._known.get(client_id)
        return None if known is None else (known[1], known[2])

    def call(self, client_id: str, name: str, kind: str) -> tuple[What, int, Any]:
        """Do an action unless it was done or refused before; return what that was, and the answer."""
        known = self._known.get(client_id)
        if known is not None:
            known_name, status, answer = known
            if known_name != name:
                return "conflict", wire.CONFLICTING, None
            return ("refusal" if status == wire.REFUSED else "duplicate"), status, answer
        is_bad = kind == "refused" and is_refused(name)
        self.remember(client_id, name, kind, wire.REFUSED if is_bad else wire.OK)
        return ("refusal" if is_bad else "effect"), *self._known[client_id][1:]

    def remember(self, client_id: str, name: str, kind: str, status: int) -> None:
        """Know that `client_id` was answered with `status`."""
        answer = {"seq": len(self._known) + 1} if status == wire.OK else None
        self._known[client_id] = (name, status, answer)
        if kind != "guarded":
            self.settled.add(name)


class BadServer:
    """Answers requests, or does not."""

    def __init__(self, log: ServerLog, deeds: Deeds, weather: Weather, chance: Random) -> None:
        self._log = log
        self._deeds = deeds
        self._weather = weather
        self._chance = chance

    async def serve(self, channel: Channel, group: TaskGroup) -> None:
        """Read the requests of one connection; what has arrived is handled in `group`, whatever becomes of it."""
        lines, outgoing = wire.Lines(), wire.Outgoing()
        try:
            async with anyio.create_task_group() as own:
                own.start_soon(outgoing.run, channel)
                while data := await channel.receive():
                    for line in lines.cut(data):
                        group.start_soon(self._handle, wire.decode_request(line), outgoing, channel)
                own.cancel_scope.cancel()
        finally:
            channel.close()

    async def _handle(self, request: Request, outgoing: wire.Outgoing, channel: Channel) -> None:
        if request.op == "call":
            await self._call(request, outgoing, channel)
            return
        status, answer = wire.OK, None
        match request.op:
            case "ask":
                status, answer = self._asked(request)
            case "log in":
                self._weather.log_in(request.account)
                self._note("login", request)
            case "be fair":
                self._weather.clear_up()
                self._note("fair", request)
            case _:
                answer = len(self._deeds.settled)
        await self._log.written()
        outgoing.put(wire.Reply(number=request.number, status=status, answer=answer))

    def _asked(self, request: Request) -> tuple[int, Any]:
        status = self._weather.at(time.monotonic(), request.account)
        if status != wire.OK:
            return status, None
        known = self._deeds.answer_to(request.client_id)
        self._note("unknown" if known is None else "known", request)
        return (wire.OK, None) if known is None else known

    async def _call(self, request: Request, outgoing: wire.Outgoing, channel: Channel) -> None:
        mischief = GOOD if self._weather.is_fair else drawn(self._chance)
        if mischief.before_s:
            await anyio.sleep(mischief.before_s)
        status, answer = self._done(request, mischief)
        await self._log.written()
        if mischief.after_s:
            await anyio.sleep(mischief.after_s)
        if mischief.hangs_up:
            channel.hang_up()
        elif mischief.arrives:
            retry_after_s = 0.0
            if status == wire.TOO_MANY:
                retry_after_s = self._chance.uniform(0.01, _LONGEST_RETRY_AFTER_S)
            for _ in range(mischief.answers_count):
                outgoing.put(
                    wire.Reply(
                        number=request.number, status=status, answer=answer, retry_after_s=retry_after_s
                    )
                )

    def _done(self, request: Request, mischief: Mischief) -> tuple[int, Any]:
        if not mischief.arrives:
            self._note("lost", request)
            return wire.OK, None
        status = self._weather.at(time.monotonic(), request.account)
        if status != wire.OK:
            self._note("error", request, status)
            return status, None
        what, status, answer = self._deeds.call(request.client_id, request.name, request.kind)
        if mischief.breaks_after:
            status, answer = wire.BROKEN, None
        self._note(what, request, status)
        if mischief.arrives_twice:
            what, _, _ = self._deeds.call(request.client_id, request.name, request.kind)
            self._note(what, request, status, is_echo=True)
        return status, answer

    def _note(self, what: What, request: Request, status: int = 0, *, is_echo: bool = False) -> None:
        self._log.add(
            Record(
                what,
                request.name,
                request.client_id,
                request.kind,
                request.key,
                request.account,
                request.caller,
                time.monotonic_ns(),
                status,
                is_echo,
            )
        )


def main(folder: str, seed: str, is_rough: bool, lifeline: Connection) -> None:
    """Serve in `folder` until killed, or until `lifeline` is cut."""
    os.chdir(folder)
    anyio.run(serve, seed, is_rough, lifeline, backend_options={"use_uvloop": True})


async def serve(seed: str, is_rough: bool, lifeline: Connection | None = None) -> None:
    """Serve in the present folder until cancelled; know what was done before."""
    chance = Random(seed)  # noqa: S311 - no secret
    deeds, log = await anyio.to_thread.run_sync(_remembered, Path(server_log.PATH))
    weather = Weather(chance, accounts(), time.monotonic())
    if not is_rough:
        weather.clear_up()
    server = BadServer(log, deeds, weather, chance)
    listening = await anyio.to_thread.run_sync(_listening)
    async with anyio.create_task_group() as group:
        group.start_soon(log.run)
        if lifeline is not None:
            group.start_soon(until_cut, lifeline, group.cancel_scope)
        with listening:
            while True:
                await anyio.wait_readable(listening)
                group.start_soon(server.serve, Channel(listening.accept()[0]), group)


def _listening() -> socket.socket:
    """Return the socket that clients connect to, in place of the one that a killed server left."""
    Path(wire.SOCKET).unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(wire.SOCKET)
    listening.listen()
    listening.setblocking(False)
    return listening


def _remembered(path: Path) -> tuple[Deeds, ServerLog]:
    """Return what was done according to the log in `path`, and that log to go on with."""
    server_log.cut_off_torn_line(path)
    deeds = Deeds()
    for record in server_log.records(path):
        if record.what in {"effect", "refusal"} and deeds.answer_to(record.client_id) is None:
            status = wire.OK if record.what == "effect" else wire.REFUSED
            deeds.remember(record.client_id, record.name, record.kind, status)
    return deeds, ServerLog(path)
