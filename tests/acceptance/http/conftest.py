"""One server a way of running, shared by all tests of HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import httpx2
import pytest

from tests.support.command_line import serving
from tests.support.http import LIMIT_S, Base, House

WAYS = [("uvicorn", "process"), ("uvicorn", "off"), ("h2corn", "process")]
"""Threads, and h2corn without workers, add no way of their own here: pools have a conformance suite."""


@pytest.fixture(scope="session", params=WAYS, ids=["-".join(way) for way in WAYS])
def house(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    server_name, workers = request.param
    data_dir = tmp_path_factory.mktemp(f"{server_name}-{workers}")
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    with serving(data_dir, "--server", server_name, "--workers", workers) as server:
        headers = {"Authorization": f"Bearer {server.first_token}"}
        with httpx2.Client(base_url=server.url, headers=headers, timeout=LIMIT_S) as client:
            house = House(server, server_name, workers, client, {"admin": server.first_token})
            for role in ("read", "write"):
                issued = client.post("/v1/tokens", json={"role": role, "name": f"the tests' {role}"})
                house.tokens[role] = issued.raise_for_status().json()["token"]
            yield house
        assert server.stop() == 0


@pytest.fixture
def base(house: House) -> Iterator[Base]:
    """A database of one test's own, with a table `t` of three rows."""
    base = house.database()
    base.execute(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, age INTEGER CHECK (age >= 0))"
    )
    base.execute("INSERT INTO t VALUES (1, 'Ann', 30), (2, 'Bob', NULL), (3, 'Cid', 20)")
    yield base
    house.client.delete(base.path).raise_for_status()
