"""Bounds that need a server of their own: a queue that is full, a stop while requests run."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.support.command_line import serving
from tests.support.http import FOREVER, LIMIT_S, Base, House, error_of

SMALL = {"SQLITE_MAX_QUEUE_SIZE": "2", "SQLITE_WORKER_COUNT": "2"}


def house_of(server: object, client: httpx2.Client, asgi_server: str) -> House:
    return House(server, asgi_server, "thread", client)  # type: ignore[arg-type]


@pytest.mark.parametrize("asgi_server", ["uvicorn", "h2corn"])
def test_a_full_queue_refuses_the_next_one_and_says_when_to_come_back(
    tmp_path: Path, asgi_server: str
) -> None:
    with (
        serving(tmp_path, "--server", asgi_server, "--workers", "thread", environment=SMALL) as server,
        httpx2.Client(base_url=server.url, headers=server.headers, timeout=LIMIT_S) as client,
        ThreadPoolExecutor(40) as callers,
    ):
        base = house_of(server, client, asgi_server).database()
        statements = [
            callers.submit(
                client.post, f"{base.path}/query?timeout_ms=300", json={"sql": f"{FOREVER} -- {each}"}
            )
            for each in range(40)
        ]
        answers = [each.result() for each in statements]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {answer.status_code for answer in answers} == {503, 504}
        for answer in refused:
            error = error_of(answer)
            assert (error["code"], error["class"]) == ("queue_full", "transient")
            assert error["retry_after_ms"] > 0
            assert int(answer.headers["retry-after"]) >= 1
        assert base.query("SELECT 1 AS x")["rows"] == [{"x": 1}]


@pytest.mark.parametrize("asgi_server", ["uvicorn", "h2corn"])
def test_a_stop_lets_a_running_request_end(tmp_path: Path, asgi_server: str) -> None:
    # with workers, whatever the flag says: without them nothing can be asked while a statement runs
    with serving(tmp_path, "--server", asgi_server, "--workers", "thread") as server:
        with (
            httpx2.Client(base_url=server.url, headers=server.headers, timeout=LIMIT_S) as client,
            ThreadPoolExecutor(1) as caller,
        ):
            house = house_of(server, client, asgi_server)
            base: Base = house.database()
            asked = caller.submit(client.post, f"{base.path}/query?timeout_ms=700", json={"sql": FOREVER})
            house.until("dataserver_http_open_requests", 2)
            server.process.terminate()
            assert asked.result().status_code == 504
        assert server.wait() == 0
