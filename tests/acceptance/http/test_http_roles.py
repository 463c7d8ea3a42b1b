"""Who may do what: each role on each route, from a table that names them all."""

from __future__ import annotations

import re
from typing import Any

import httpx2
import pytest

from dataserver.routes import ROUTES
from tests.support.http import ONE_WAY, Base, House, error_of, house_of, in_every_way

house = house_of(ONE_WAY)  # a role is looked up before all else; of the server is the header alone

ROLES = ("none", "read", "write", "admin")
LEAST = {
    "GET /v1/databases": "read",
    "GET /v1/databases/{db}": "read",
    "PUT /v1/databases/{db}": "admin",
    "DELETE /v1/databases/{db}": "admin",
    "POST /v1/databases/{db}/query": "read",
    "POST /v1/databases/{db}/execute": "write",
    "GET /v1/databases/{database}/backup": "admin",
    "POST /v1/databases/{database}/backup": "admin",
    "GET /v1/databases/{db}/changes": "read",
    "PUT /v1/databases/{db}/tables/{table}/changes": "admin",
    "DELETE /v1/databases/{db}/tables/{table}/changes": "admin",
    "POST /v1/databases/{db}/live": "read",
    "POST /v1/databases/{db}/explain": "read",
    "GET /v1/admin/storage": "admin",
    "GET /v1/databases/{db}/tables": "read",
    "GET /v1/databases/{db}/tables/{table}": "read",
    "GET /v1/databases/{db}/tables/{table}/rows": "read",
    "POST /v1/databases/{db}/tables/{table}/rows": "write",
    "GET /v1/databases/{db}/tables/{table}/rows/{key}": "read",
    "PATCH /v1/databases/{db}/tables/{table}/rows/{key}": "write",
    "DELETE /v1/databases/{db}/tables/{table}/rows/{key}": "write",
    "GET /v1/databases/{db}/export": "read",
    "POST /v1/databases/{db}/export": "read",
    "GET /v1/tokens": "admin",
    "POST /v1/tokens": "admin",
    "DELETE /v1/tokens/{id}": "admin",
    "GET /healthz": "none",
    "GET /readyz": "read",
    "GET /metrics": "read",
    "GET /openapi.json": "read",
    "GET /docs": "none",
    "GET /v1/admin/vitals": "admin",
    "POST /v1/admin/self-test": "admin",
    "PUT /v1/admin/workers": "admin",
    "GET /v1/admin/users": "admin",
    "PATCH /v1/admin/users": "admin",
    "POST /v1/databases/{db}/tables/{table}/import": "write",
    "POST /v1/databases/{db}/measure": "read",
    "PUT /v1/databases/{db}/tables/{table}/search": "write",
    "DELETE /v1/databases/{db}/tables/{table}/search": "write",
    "POST /v1/auth/register": "none",
    "POST /v1/auth/login": "none",
    "POST /v1/auth/refresh": "none",
    "GET /admin": "none",
    "GET /": "none",
    "GET /service_worker.js": "none",
    "GET /web/{file}": "none",
    "GET /web/{folder}/{file}": "none",
}
BODIES: dict[str, Any] = {
    "POST /v1/databases/{db}/query": {"sql": "SELECT 1"},
    "POST /v1/databases/{db}/live": {"sql": "SELECT 1"},
    "POST /v1/databases/{db}/explain": {"sql": "SELECT 1"},
    "POST /v1/databases/{db}/execute": {"sql": "UPDATE t SET age = 1"},
    "POST /v1/databases/{db}/export": {"sql": "SELECT 1"},
    "POST /v1/databases/{db}/measure": {"sql": "SELECT 1"},
    "POST /v1/tokens": {"role": "read"},
    "POST /v1/auth/refresh": {"refresh_token": 1},  # a wrong one is answered 401, as it should be
}


def test_the_table_names_every_route_but_those_of_users() -> None:
    assert {route.label for route in ROUTES if route.role != "user"} == LEAST.keys()


@pytest.mark.parametrize("role", ROLES)
def test_what_is_a_users_is_for_nobody_without_a_session(role: str, house: House) -> None:
    headers = {"authorization": "" if role == "none" else f"Bearer {house.tokens[role]}"}
    for route in ROUTES:
        if route.role == "user":
            path = re.sub(r"\{\w+\}", "1", route.path)
            answer = house.client.request(route.method, path, headers=headers, json={})
            assert (answer.status_code, error_of(answer)["code"]) == (401, "unauthenticated"), route.label


@pytest.mark.parametrize("role", ROLES)
def test_a_route_lets_in_its_least_role_and_those_above(role: str, base: Base) -> None:
    for label in LEAST:
        check_access(label, role, base)


def check_access(label: str, role: str, base: Base) -> None:
    method, _, template = label.partition(" ")
    path = template.format(
        db=base.name, database=base.name, table="t", key="1", id="unknown", file="no.js", folder="no"
    )
    if label == "GET /v1/databases/{db}/export":
        path += "?table=t"
    if label in {"PUT /v1/databases/{db}", "DELETE /v1/databases/{db}"}:
        path = "/v1/databases/nobody-else"
    headers = {"authorization": "" if role == "none" else f"Bearer {base.house.tokens[role]}"}
    with base.house.client.stream(method, path, headers=headers, json=BODIES.get(label, {})) as answer:
        if ROLES.index(role) >= ROLES.index(LEAST[label]):
            assert answer.status_code not in {401, 403}, label
            return  # an answer may have no end
        expected = (401, "unauthenticated") if role == "none" else (403, "forbidden")
        answer.read()
        assert (answer.status_code, error_of(answer)["code"]) == expected, label


@in_every_way
@pytest.mark.parametrize(
    "sent", ["Bearer", "Bearer wrong", "Basic YTpi", "bearer", "x" * 5_000, "Bearer \xff"]
)
def test_what_is_no_token_of_ours_is_refused(sent: str, house: House) -> None:
    answer = house.client.get("/v1/databases", headers={b"authorization": sent.encode("latin-1")})
    assert (answer.status_code, error_of(answer)["code"]) == (401, "unauthenticated")


def test_an_unknown_address_is_not_told_to_who_has_no_token(house: House) -> None:
    assert house.client.get("/v1/secret", headers={"authorization": ""}).status_code == 401


def test_a_revoked_token_is_worthless_at_once(house: House) -> None:
    issued = house.client.post("/v1/tokens", json={"role": "write", "name": "short-lived"}).json()
    theirs = {"authorization": f"Bearer {issued['token']}"}
    assert house.client.get("/v1/databases", headers=theirs).status_code == 200
    revoked = house.client.delete(f"/v1/tokens/{issued['id']}").json()
    assert revoked["revoked_at_ms"] is not None
    assert house.client.get("/v1/databases", headers=theirs).status_code == 401
    again = house.client.delete(f"/v1/tokens/{issued['id']}")
    assert (again.status_code, error_of(again)["code"]) == (404, "token_not_found")


def test_the_list_of_tokens_shows_no_token(house: House) -> None:
    answer = house.client.get("/v1/tokens")
    assert not any(token in answer.text for token in house.tokens.values())
    assert {each["role"] for each in answer.json()["tokens"]} == {"read", "write", "admin"}


def test_a_token_of_no_role_is_not_made(house: House) -> None:
    answer = house.client.post("/v1/tokens", json={"role": "emperor"})
    assert (answer.status_code, error_of(answer)["code"]) == (400, "invalid_body")


def test_a_token_is_never_stored_by_a_cache(house: House) -> None:
    answer: httpx2.Response = house.client.post("/v1/tokens", json={"role": "read"})
    assert (answer.status_code, answer.headers["cache-control"]) == (201, "no-store")
