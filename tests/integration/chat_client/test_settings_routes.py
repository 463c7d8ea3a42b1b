"""`/v1/me/settings`, `/v1/me/signing-keys` and `/v1/me/space-keys` as any client meets them."""

from __future__ import annotations

from base64 import b64encode
from itertools import count
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from chat.sync.sealing import signed_bytes
from workers import SigningKey

if TYPE_CHECKING:
    from tests.support.chat_client import House


_numbers = count(1)


def text(data: bytes) -> str:
    return b64encode(data).decode()


@pytest.fixture(scope="module")
def key() -> SigningKey:
    return SigningKey.generate("ed25519")


def registered(house: House, key: SigningKey) -> str:
    body = {"client_id": f"key-{house.room}", "algorithm": "ed25519", "public_key": text(key.public)}
    house.bob_http.post("/v1/me/signing-keys", json=body).raise_for_status()
    keys: list[dict[str, Any]] = house.bob_http.get("/v1/me/signing-keys").raise_for_status().json()["keys"]
    (found,) = [each["id"] for each in keys if each["public_key"] == text(key.public)]
    return str(found)


def sealed(house: House, key: SigningKey, version: int, account: str | None = None) -> dict[str, Any]:
    """Return settings as a device of Bob's would send them; each is an action of its own."""
    ciphertext = b"only I can read this"
    return {
        "client_id": f"save-{next(_numbers)}-{house.room}",
        "version": version,
        "ciphertext": text(ciphertext),
        "algorithm": "ed25519",
        "public_key": text(key.public),
        "signature": text(key.sign(signed_bytes(account or house.bob, version, ciphertext))),
    }


def put(house: House, body: dict[str, Any], if_match: str | None = None) -> Any:
    headers = {} if if_match is None else {"If-Match": if_match}
    return house.bob_http.put("/v1/me/settings", json=body, headers=headers)


def version_of(house: House) -> int:
    answer = house.bob_http.get("/v1/me/settings")
    return 0 if answer.status_code == 404 else int(answer.json()["version"])


def test_settings_are_saved_version_by_version(house: House, key: SigningKey) -> None:
    registered(house, key)
    before = version_of(house)
    body = sealed(house, key, before + 1)
    saved = put(house, body, f'"{before}"')
    assert (saved.status_code, saved.json()["version"], saved.json()["duplicate"]) == (200, before + 1, False)
    assert put(house, body, f'"{before}"').json()["duplicate"] is True
    stored = house.bob_http.get("/v1/me/settings")
    assert (stored.json()["version"], stored.headers["etag"]) == (before + 1, f'"{before + 1}"')
    answered = house.bob_http.get(f"/v1/actions/{body['client_id']}").json()
    assert (answered["kind"], answered["result"]["version"]) == ("save-user-config", before + 1)


def test_another_version_is_answered_412_with_the_present_settings(house: House, key: SigningKey) -> None:
    registered(house, key)
    before = version_of(house)
    put(house, sealed(house, key, before + 1)).raise_for_status()
    late = put(house, sealed(house, key, before + 1))
    assert late.status_code == 412
    error = late.json()["error"]
    assert (error["code"], error["class"]) == ("version_conflict", "conflict")
    assert error["details"]["current"] == house.bob_http.get("/v1/me/settings").json()


def test_what_another_account_or_key_has_signed_is_refused(house: House, key: SigningKey) -> None:
    key_id = registered(house, key)
    version = version_of(house) + 1
    assert put(house, sealed(house, key, version, account=house.ann)).status_code == 400
    stranger = SigningKey.generate("ed25519")
    assert put(house, sealed(house, stranger, version)).status_code == 404
    gone = house.bob_http.delete(f"/v1/me/signing-keys/{key_id}", params={"client_id": f"d-{house.room}"})
    assert gone.status_code == 200
    assert put(house, sealed(house, key, version)).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "if_match"),
    [
        ("settings", {"version": 1}, None),
        ("settings", None, '"x"'),
        ("settings", None, '"-1"'),
        ("space-keys", {"keys": {}}, None),
        ("space-keys", {"client_id": "c", "keys": {"not an id": "k"}}, None),
        ("space-keys", {"client_id": "c", "keys": {"1": 5}}, None),
    ],
)
def test_what_is_malformed_is_refused(
    house: House, key: SigningKey, path: str, body: dict[str, Any] | None, if_match: str | None
) -> None:
    registered(house, key)
    sent = sealed(house, key, 1) if body is None else body
    headers = {} if if_match is None else {"If-Match": if_match}
    assert house.bob_http.put(f"/v1/me/{path}", json=sent, headers=headers).status_code == 400


def test_nobody_reads_them_without_a_session(house: House) -> None:
    for path in ("settings", "signing-keys", "space-keys"):
        assert httpx2.get(f"{house.url}/v1/me/{path}").status_code == 401


def test_keys_of_spaces_are_read_from_a_version_on(house: House) -> None:
    body = {"client_id": f"k-{house.room}", "keys": {house.space: "blob"}}
    house.bob_http.put("/v1/me/space-keys", json=body).raise_for_status()
    (found,) = [
        each
        for each in house.bob_http.get("/v1/me/space-keys").json()["keys"]
        if each["space"] == house.space
    ]
    later = house.bob_http.get("/v1/me/space-keys", params={"since": found["version"]}).json()
    assert (found["blob"], later) == ("blob", {"keys": []})
    assert house.bob_http.get("/v1/me/space-keys", params={"since": "x"}).status_code == 400
