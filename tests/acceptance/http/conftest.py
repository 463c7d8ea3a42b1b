"""One server a way of running, shared by all tests of HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import httpx2
import pytest

from tests.support.command_line import serving
from tests.support.http import LIMIT_S, WAYS, Base, House, house_of

house = house_of(WAYS)


@pytest.fixture(scope="package")
def houses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], House]]:
    """All servers that were asked for, each started once; they stop cleanly at the end of the folder."""
    with ExitStack() as stack:

        @cache
        def house(asgi_server: str, workers: str) -> House:
            data_dir = tmp_path_factory.mktemp(f"{asgi_server}-{workers}")
            return stack.enter_context(_running(data_dir, asgi_server, workers))

        yield house


@contextmanager
def _running(data_dir: Path, asgi_server: str, workers: str) -> Iterator[House]:
    with serving(data_dir, "--server", asgi_server, "--workers", workers) as server:
        headers = {"Authorization": f"Bearer {server.first_token}"}
        with httpx2.Client(base_url=server.url, headers=headers, timeout=LIMIT_S) as client:
            house = House(server, asgi_server, workers, client, {"admin": server.first_token})
            for role in ("read", "write"):
                issued = client.post("/v1/tokens", json={"role": role, "name": f"the tests' {role}"})
                house.tokens[role] = issued.raise_for_status().json()["token"]
            yield house
        assert server.stop() == 0


@pytest.fixture
def base(house: House) -> Iterator[Base]:
    """A database of one test's own, with a table `t` of three rows."""
    base = _filled(house)
    yield base
    house.client.delete(base.path).raise_for_status()


@pytest.fixture(scope="package")
def kept_bases() -> dict[str, Base]:
    return {}


@pytest.fixture
def kept(house: House, kept_bases: dict[str, Base]) -> Base:
    """A database like `base`, and a view `v` of its table, for all tests that only read or are refused."""
    url = house.server.url
    if url not in kept_bases:
        kept_bases[url] = _filled(house)
        kept_bases[url].execute("CREATE VIEW v AS SELECT * FROM t")
    return kept_bases[url]


def _filled(house: House) -> Base:
    base = house.database()
    statements = [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, age INTEGER CHECK (age >= 0))",
        "INSERT INTO t VALUES (1, 'Ann', 30), (2, 'Bob', NULL), (3, 'Cid', 20)",
    ]
    batch = {"statements": [{"sql": sql} for sql in statements]}
    house.client.post(f"{base.path}/execute", json=batch).raise_for_status()
    return base
