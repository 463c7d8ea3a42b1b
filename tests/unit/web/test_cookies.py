"""When a page's cookie counts as its token, and when it is worth nothing."""

from __future__ import annotations

import pytest

from chat import IssuedSession
from dataserver import cookies

COOKIE = {b"cookie": b"other=1; dataserver_access=dsu_x; dataserver_refresh=dsr_y"}
PAGE = {cookies.PAGE_HEADER: b"1"}
HERE = {b"host": b"chat.example:8080"}
ISSUED = IssuedSession(
    access_token="dsu_x",  # noqa: S106 - of nobody
    refresh_token="dsr_y",  # noqa: S106 - of nobody
    access_expires_at_ms=1,
    user_id="1",
    device_id="2",
    name="zoe",
    server_role=None,
)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_cookie_alone_changes_nothing(method: str) -> None:
    assert cookies.authorization(COOKIE, method) is None
    assert cookies.authorization(COOKIE | PAGE, method) == b"Bearer dsu_x"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_cookie_alone_may_read(method: str) -> None:
    assert cookies.authorization(COOKIE, method) == b"Bearer dsu_x"


def test_a_header_goes_before_a_cookie() -> None:
    said = {b"authorization": b"Bearer dsu_z"}
    assert cookies.authorization(COOKIE | PAGE | said, "GET") == b"Bearer dsu_z"
    assert cookies.socket_authorization(COOKIE | said) == b"Bearer dsu_z"
    assert cookies.authorization({}, "GET") is None
    assert cookies.authorization({b"cookie": b"dataserver_access="}, "GET") is None


@pytest.mark.parametrize("origin", [b"http://chat.example:8080", b"https://Chat.Example:8080"])
def test_a_socket_of_a_page_of_this_server_is_its_users(origin: bytes) -> None:
    assert cookies.socket_authorization(COOKIE | HERE | {b"origin": origin}) == b"Bearer dsu_x"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        HERE,
        {b"origin": b"http://"},
        HERE | {b"origin": b"null"},
        HERE | {b"origin": b"http://chat.example"},
        HERE | {b"origin": b"http://elsewhere.example:8080"},
        HERE | {b"origin": b"http://chat.example:8080.elsewhere.example"},
        HERE | {b"origin": b"file://chat.example:8080"},
    ],
)
def test_a_socket_from_elsewhere_is_nobodys(headers: dict[bytes, bytes]) -> None:
    assert cookies.socket_authorization(COOKIE | headers) is None


def test_a_refresh_token_is_taken_from_a_page_only() -> None:
    assert cookies.refresh_token(COOKIE | PAGE) == "dsr_y"
    assert cookies.refresh_token(COOKIE) == ""
    assert cookies.refresh_token(PAGE) == ""


@pytest.mark.parametrize(("scheme", "is_secure"), [("http", False), ("https", True)])
def test_no_script_and_no_other_site_gets_a_cookie(scheme: str, is_secure: bool) -> None:
    given = [value for _, value in cookies.cookies_of(ISSUED, {"scheme": scheme})]
    for each in given:
        assert b"; HttpOnly; SameSite=Strict" in each
        assert each.endswith(b"; Secure") == is_secure
    assert given[0].startswith(b"dataserver_access=dsu_x; Path=/; Max-Age=2592000")
    assert given[1].startswith(b"dataserver_refresh=dsr_y; Path=/v1/auth/refresh; ")


def test_cookies_are_taken_away_where_they_were_given() -> None:
    given = [value.split(b"; ")[:2] for _, value in cookies.cookies_of(ISSUED, {})]
    taken = [value.split(b"; ")[:3] for _, value in cookies.no_cookies({})]
    assert [path for _, path in given] == [path for _, path, _ in taken]
    assert all(age == b"Max-Age=0" and value.endswith(b"=") for value, _, age in taken)
