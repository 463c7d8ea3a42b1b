"""Schemathesis over the description of the interface: all of its checks, against a running server, whoever asks.

Each bound of each parameter and each field is tried, then requests are made up at random, and strung together.
`SCHEMATHESIS_S=600 pytest tests/long/test_described_interface.py` searches for so long four times, as different askers, with
another `SCHEMATHESIS_SEED` for other requests. Without, it is what a minute of two idle cores has room for (3,500 requests
took 28 to 110 s, as busy as the machine was, 2026-11-23), and always the same.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import httpx2
import pytest

from dataserver.routes import ROUTES
from tests.support.command_line import RunningServer, run, serving

MORE_S: Final = int(os.environ.get("SCHEMATHESIS_S", "0"))
SEED: Final = os.environ.get("SCHEMATHESIS_SEED", "1")
LIMIT_S: Final = 400 + 2 * MORE_S
PASSWORD: Final = "correct horse battery"  # noqa: S105 - of users that live for one test
UNBOUNDED: Final = {"DATASERVER_LOGIN_ATTEMPTS": "100000", "DATASERVER_CREATIONS_PER_MINUTE": "100000"}

Check = Literal["positive_data_acceptance", "not_a_server_error"]
CHECKS: Final[tuple[Check, ...]] = get_args(Check)


@dataclass(frozen=True, kw_only=True)
class Allowed:
    """A status that a check would not expect, and why it is right on these routes."""

    check: Check
    status: int
    why: str
    routes: tuple[str, ...]


def with_parameter(name: str) -> tuple[str, ...]:
    """Return the routes that have a parameter of this name."""
    return tuple(route.label for route in ROUTES if name in {each.name for each in route.parameters})


ALLOWED: Final = (
    Allowed(
        check="positive_data_acceptance",
        status=400,
        why="what is SQL, only SQLite knows",
        routes=tuple(
            f"POST /v1/databases/{{db}}/{each}"
            for each in ("query", "explain", "measure", "execute", "export")
        ),
    ),
    Allowed(
        check="positive_data_acceptance",
        status=400,
        why="what columns, keys and indexes there are is the table's business",
        routes=(
            "GET /v1/databases/{db}/export",
            "GET /v1/databases/{db}/tables/{table}/rows",
            "POST /v1/databases/{db}/tables/{table}/rows",
            "GET /v1/databases/{db}/tables/{table}/rows/{key}",
            "PATCH /v1/databases/{db}/tables/{table}/rows/{key}",
            "DELETE /v1/databases/{db}/tables/{table}/rows/{key}",
            "PUT /v1/databases/{db}/tables/{table}/search",
            "POST /v1/databases/{db}/tables/{table}/import",
        ),
    ),
    Allowed(
        check="positive_data_acceptance",
        status=400,
        why="of two fields or parameters one is needed, or they go together, or not",
        routes=(
            "POST /v1/databases/{db}/execute",
            "POST /v1/rooms/{id}/messages",
            "GET /v1/rooms/{id}/messages",
            "GET /v1/users",
        ),
    ),
    Allowed(
        check="positive_data_acceptance",
        status=400,
        why="nobody has a conversation with themselves",
        routes=("POST /v1/direct",),
    ),
    Allowed(
        check="positive_data_acceptance",
        status=400,
        why="a whole number is written without a fraction: to JSON Schema 1.0 is one, to us it is none",
        routes=(
            "POST /v1/databases/{database}/backup",
            "POST /v1/rooms/{id}/void",
            "POST /v1/spaces/{id}/invites",
            "PUT /v1/rooms/{id}/read",
            "PUT /v1/spaces/{id}/members/{user}/mute",
        ),
    ),
    Allowed(
        check="positive_data_acceptance",
        status=400,
        why="a change that changes nothing is a mistake, and null changes nothing",
        routes=("PATCH /v1/rooms/{id}", "PATCH /v1/spaces/{id}", "PATCH /v1/spaces/{id}/groups/{group}"),
    ),
    Allowed(
        check="positive_data_acceptance",
        status=400,
        why="a key, a signature or a picture is none by chance",
        routes=("POST /v1/me/signing-keys", "PUT /v1/me/settings", "PUT /v1/me/avatar"),
    ),
    Allowed(
        check="positive_data_acceptance",
        status=400,
        why="FTS5 has a syntax of its own",
        routes=("GET /v1/search",),
    ),
    Allowed(
        check="positive_data_acceptance",
        status=412,
        why="nobody has that version",
        routes=with_parameter("If-Match"),
    ),
    *(
        Allowed(
            check=check,
            status=504,
            why="a deadline of a millisecond passes",
            routes=with_parameter("timeout_ms"),
        )
        for check in CHECKS
    ),
)
LEFT_OUT: Final = {
    "GET /v1/streams/events": "it has no end",
    "GET /v1/databases/{db}/changes": "it has no end",
    "POST /v1/databases/{db}/live": "it has no end",
    "POST /v1/auth/logout": "it would end the session that asks",
    "DELETE /v1/auth/devices/{id}": "it would end the session that asks",
}
"""What is not asked at all; each has its own tests."""
ENDING: Final = frozenset({"DELETE /v1/databases/{db}", "DELETE /v1/spaces/{id}", "DELETE /v1/tokens/{id}"})
"""What would end all that the others are asked about, or who asks: it gets things of its own, always."""


@dataclass
class House:
    """A server, who asks, and what there is to ask about."""

    server: RunningServer
    tokens: dict[str, str]
    names: dict[str, str]
    spare: dict[str, str]
    """The same for what is taken away."""
    doomed: dict[str, str]
    """What holds the others."""

    def parameters(self, label: str) -> dict[str, str]:
        """Return the names of real things for a route."""
        method, _, path = label.partition(" ")
        if label == "PUT /v1/databases/{db}":
            return {}  # that one is there already
        kinds = {"spaces": "space", "rooms": "room", "users": "user", "tokens": "token"}
        known = self.spare if method == "DELETE" else self.names
        if label in ENDING:
            known = self.doomed
        found = {part[1:-1]: part[1:-1] for part in path.split("/") if part.startswith("{")}
        if "id" in found:
            found["id"] = kinds.get(path.split("/")[2], "")
        return {f"path.{name}": known[kind] for name, kind in found.items() if kind in known}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    data_dir = tmp_path_factory.mktemp("described") / "data"
    with serving(data_dir, environment=UNBOUNDED) as server, httpx2.Client(base_url=server.url) as http:

        def asked(token: str, method: str, path: str, body: Any = None) -> Any:
            headers = {"authorization": f"Bearer {token}"}
            return http.request(method, path, json=body, headers=headers).raise_for_status().json()

        admin = server.first_token
        issued = {
            name: asked("none", "POST", "/v1/auth/register", {"name": name, "password": PASSWORD})
            for name in ("zoe", "bob", "cid")
        }
        zoe = issued["zoe"]["access_token"]
        assert run("user", "role", "zoe", "admin", "--data-dir", data_dir).returncode == 0
        for database in ("shop", "doomed"):
            asked(admin, "PUT", f"/v1/databases/{database}")
        table = "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"
        asked(admin, "POST", "/v1/databases/shop/execute", {"sql": table})
        for number in (1, 2):
            asked(admin, "POST", "/v1/databases/shop/tables/t/rows", {"id": number, "name": "a"})
        space, doomed = (
            asked(zoe, "POST", "/v1/spaces", {"client_id": name, "name": name, "is_open": True})["id"]
            for name in ("home", "doomed")
        )
        for name in ("bob", "cid"):
            token = issued[name]["access_token"]
            asked(token, "POST", f"/v1/spaces/{space}/join", {"client_id": "j"})
        room = asked(zoe, "POST", f"/v1/spaces/{space}/rooms", {"client_id": "r", "name": "general"})["id"]
        shared = {"db": "shop", "database": "shop", "table": "t", "space": space, "room": room, "emoji": "+1"}
        made = []
        for n, (user, key) in enumerate((("bob", "1"), ("cid", "2"))):
            group = asked(zoe, "POST", f"/v1/spaces/{space}/groups", {"client_id": f"g{n}", "name": f"g{n}"})
            said = {"client_id": f"m{n}", "content": "hello"}
            link = asked(zoe, "POST", f"/v1/spaces/{space}/invites", {"client_id": f"i{n}"})
            made.append(
                {
                    **shared,
                    "user": issued[user]["user_id"],
                    "key": key,
                    "group": group["id"],
                    "message": asked(zoe, "POST", f"/v1/rooms/{room}/messages", said)["id"],
                    "invite": link["id"],
                    "secret": link["secret"],
                }
            )
        token = asked(admin, "POST", "/v1/tokens", {"role": "read"})["id"]
        doomed_things = {"db": "doomed", "database": "doomed", "space": doomed, "token": token}
        tokens = {"user": zoe, "token": admin, "nobody": "none"}
        yield House(server, tokens, made[0], made[1], doomed_things)
        assert server.stop() == 0
        assert [event for event in server.events if event["event"] == "request.failed"] == []


def configuration(house: House, *, names_real_things: bool) -> str:
    """Return what Schemathesis is told of each route."""
    lines = ["color = false", "continue-on-failure = true"]
    for route in ROUTES:
        said = [f"enabled = false  # {LEFT_OUT[route.label]}"] if route.label in LEFT_OUT else []
        is_named = names_real_things or route.label in ENDING
        parameters = house.parameters(route.label) if is_named else {}
        if parameters:
            pairs = ", ".join(f'"{name}" = "{value}"' for name, value in parameters.items())
            said.append(f"parameters = {{ {pairs} }}")
        for check, usual in USUAL.items():
            more = {each.status for each in ALLOWED if each.check == check and route.label in each.routes}
            if more:
                said.append(f"checks.{check}.expected-statuses = {sorted(map(str, more)) + usual}")
        if said:
            lines += ["[[operations]]", f'include-name = "{route.label}"', *said]
    return "\n".join(lines) + "\n"


SEARCHES: Final = (("user", True), ("user", False), ("token", True), ("nobody", True))
"""Who asks, and whether about things that are there."""
USUAL: Final[dict[Check, list[str]]] = {
    "positive_data_acceptance": ["2xx", "3xx", "401", "403", "404", "409", "429"],
    "not_a_server_error": ["2xx", "3xx", "4xx"],
}
"""What the checks expect by themselves; an answer of 5xx is no good one to good data."""


def searched(house: House, tmp_path: Path, who: str, *how: str, names_real_things: bool = True) -> None:
    """Let Schemathesis ask, and print what it found wrong."""
    document = tmp_path / "openapi.json"
    document.write_bytes(httpx2.get(f"{house.server.url}/openapi.json", headers=house.server.headers).content)
    config = tmp_path / "schemathesis.toml"
    config.write_text(configuration(house, names_real_things=names_real_things))
    done = subprocess.run(  # noqa: S603 - our own command line
        [
            sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", str(document),
            "--url", house.server.url, "--header", f"Authorization: Bearer {house.tokens[who]}",
            "--checks", "all", "--seed", SEED, "--generation-database", "none", "--workers", "2", "--warnings", "off", *how,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )  # fmt: skip
    print(done.stdout)  # noqa: T201 - the report, for who reads it
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 generated" not in done.stdout


@pytest.mark.timeout(LIMIT_S + 30)
def test_every_bound_of_every_parameter_and_field_holds(house: House, tmp_path: Path) -> None:
    searched(house, tmp_path, "user", "--phases", "coverage")


@pytest.mark.timeout(LIMIT_S + 30)
@pytest.mark.parametrize(("who", "names_real_things"), SEARCHES)
def test_no_request_at_random_is_answered_otherwise_than_described(
    house: House, tmp_path: Path, who: str, names_real_things: bool
) -> None:
    how: tuple[str, ...]
    if MORE_S:
        how = ("--phases", "fuzzing,stateful", "--max-examples", "1000", "--max-time", str(MORE_S))
    elif who == "user" and names_real_things:
        how = ("--phases", "fuzzing", "--max-examples", "1")
    else:
        pytest.skip("takes longer: set SCHEMATHESIS_S")
    searched(house, tmp_path, who, *how, names_real_things=names_real_things)


def test_every_exception_names_routes_that_exist() -> None:
    labels = {route.label for route in ROUTES}
    assert labels >= LEFT_OUT.keys()
    for allowed in ALLOWED:
        assert allowed.routes
        assert labels >= set(allowed.routes)
