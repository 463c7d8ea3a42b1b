"""Check the network, here against a server that the example starts on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from workers import open_bridges

if TYPE_CHECKING:
    from anyio.abc import SocketStream

    from workers.examples.stage import Stage

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
SAMPLES_COUNT = 5


async def example(stage: Stage) -> None:
    """Ask a server that is there and one that is not, and take a few round trips."""
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as group,
    ):
        group.start_soon(listener.serve, _answer)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - anyio's, not Django's
        here, nowhere = f"http://127.0.0.1:{port}/", "http://127.0.0.1:9/"
        async with open_bridges() as bridges:
            found = await bridges.network.connectivity([here, nowhere])
            for each in found.checks:
                stage.say(f"{each.url.replace(str(port), 'PORT')}: {each.reason}")
            latency = await bridges.network.latency(here, samples_count=SAMPLES_COUNT, interval_s=0.001)
            stage.say(f"half of {SAMPLES_COUNT} round trips took {latency.spread.p50_ms:.1f} ms or less")
        group.cancel_scope.cancel()


async def _answer(stream: SocketStream) -> None:
    async with stream:
        await stream.receive()
        await stream.send(ANSWER)
