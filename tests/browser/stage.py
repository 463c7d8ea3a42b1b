"""What the browser's tests stand on: a server that can be killed, accounts, and pages."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

import httpx2
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Route

from tests.support.command_line import RunningServer, serving

PASSWORD = "a long enough password"  # noqa: S105 - of accounts that live for one test
LIMIT_MS = 15_000
_EXPECTED = (
    "ERR_INTERNET_DISCONNECTED",
    "ERR_CONNECTION",
    "ERR_FAILED",
    "ERR_EMPTY_RESPONSE",
    "WebSocket connection to",
    "401 (",
    "/v1/actions/",
)
"""What the browser itself says of a network that is cut, of a session that has ended, and of a question answered by no."""
_names = count(1)


@dataclass
class User:
    """An account, spoken for over HTTP."""

    name: str
    id: str
    client: httpx2.Client

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.client.post(path, json={"client_id": str(uuid4()), **body}).raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def contents(self, room: str) -> list[str]:
        """Return what is in a room, in its order."""
        found: list[str] = []
        after = 0
        while (
            page := self.client.get(f"/v1/rooms/{room}/messages?after_seq={after}&limit=500")
            .raise_for_status()
            .json()["messages"]
        ):
            found += [each["content"] for each in page]
            after = page[-1]["seq"]
        return found

    def messages(self, room: str) -> list[dict[str, Any]]:
        page: list[dict[str, Any]] = (
            self.client.get(f"/v1/rooms/{room}/messages?limit=500").raise_for_status().json()["messages"]
        )
        return page


@dataclass
class Stage:
    """A server, the users on it, and their pages."""

    browser: Browser
    server: RunningServer
    contexts: list[BrowserContext] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    users: list[User] = field(default_factory=list)
    allowed: list[str] = field(default_factory=lambda: list(_EXPECTED))

    @property
    def url(self) -> str:
        return self.server.url

    def user(self, start: str = "user", display_name: str = "") -> User:
        """Make an account."""
        name = f"{start}{next(_names)}"
        client = httpx2.Client(base_url=self.url, timeout=20)
        body = {
            "name": name,
            "password": PASSWORD,
            "display_name": display_name or name.title(),
            "device": "test",
        }
        issued = client.post("/v1/auth/register", json=body).raise_for_status().json()
        client.headers["authorization"] = f"Bearer {issued['access_token']}"
        self.users.append(User(name, issued["user_id"], client))
        return self.users[-1]

    def room(self, owner: User, *members: User, name: str = "general") -> str:
        """Make an open space with one room, and let others join."""
        space = owner.post("/v1/spaces", name=f"Space of {owner.name}", is_open=True)["id"]
        room: str = owner.post(f"/v1/spaces/{space}/rooms", name=name)["id"]
        for each in members:
            each.post(f"/v1/spaces/{space}/join")
        return room

    def context(self, **options: Any) -> BrowserContext:
        """Return another browser profile."""
        made = self.browser.new_context(base_url=self.url, **options)
        made.set_default_timeout(LIMIT_MS)
        made.on("console", self._heard)
        made.on("weberror", lambda error: self.complaints.append(f"uncaught: {error.error}"))
        self.contexts.append(made)
        return made

    def page(
        self, user: User, room: str | None = None, context: BrowserContext | None = None, **options: Any
    ) -> Page:
        """Return a page on which the user is signed in, and a room open."""
        page = (context or self.context(**options)).new_page()
        page.goto("/")
        sign_in(page, user)
        if room is not None:
            page.locator(f"[data-room='{room}']").click()
        return page

    def again(self, context: BrowserContext) -> Page:
        """Return another tab of a profile that is signed in."""
        page = context.new_page()
        page.goto("/")
        page.locator("room-view").wait_for()
        return page

    @contextlib.contextmanager
    def killed(self) -> Iterator[None]:
        """Kill the server; it is back on the same port after the block."""
        port = httpx2.URL(self.url).port
        self.server.process.send_signal(signal.SIGKILL)
        self.server.process.wait(20)
        yield
        opened = serving(self.server.data_dir, "--port", str(port))
        self.server = opened.__enter__()
        self._stack.enter_context(_leaving(opened))

    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def close(self) -> None:
        for each in self.contexts:
            each.close()
        for user in self.users:
            user.client.close()
        self._stack.close()

    def check(self) -> None:
        """Fail if a page complained."""
        told = [each for each in self.complaints if not any(known in each for known in self.allowed)]
        assert not told, told

    def complaints_allowed(self, text: str) -> None:
        """Expect what the browser says of an answer that a test makes."""
        self.allowed.append(text)

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(f"{message.type}: {message.text} {message.location.get('url', '')}")


@contextlib.contextmanager
def _leaving(opened: Any) -> Iterator[None]:
    try:
        yield
    finally:
        opened.__exit__(None, None, None)


def sign_in(page: Page, user: User) -> None:
    page.get_by_label("Name", exact=True).fill(user.name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.locator("side-bar").wait_for()


def write(page: Page, content: str) -> None:
    """Send a message."""
    box = page.locator("message-composer textarea")
    box.fill(content)
    box.press("Enter")


def shown(page: Page) -> list[str]:
    """Return what the page shows of a room, from above."""
    return page.locator("message-row .body").all_inner_texts()


def until_sent(page: Page) -> None:
    """Wait until nothing is on its way."""
    until(
        page,
        "document.querySelector('chat-app').outbox.waiting().length === 0 && !document.querySelector('message-row.sending')",
    )


def until_kept(page: Page) -> None:
    """Wait until the page can open without a connection."""
    until(
        page, "performance.getEntriesByName('kept').length > 0 && navigator.serviceWorker.controller !== null"
    )


def until_seen(page: Page, room: str, count: int) -> None:
    """Wait until a room with so many messages, and what else the page begins with, is kept for the next time."""
    until(
        page,
        f"""(async () => {{ const {{ store }} = document.querySelector('chat-app');
        const [session, kept] = [await store.seen('session'), await store.seen('room:{room}')];
        return session?.rooms.some((each) => each.id === '{room}') && kept?.messages.length === {count}; }})()""",
    )


def until(page: Page, script: str) -> None:
    """Wait until a script says yes; the page's policy lets no script of ours wait inside it."""
    deadline = time.monotonic() + LIMIT_MS / 1000
    while not page.evaluate(script):
        assert time.monotonic() < deadline, f"never true: {script}; shown: {shown(page)}"
        page.wait_for_timeout(20)


def until_held(page: Page, requests: list[Route], count: int = 1) -> None:
    """Wait until so many requests are held."""
    deadline = time.monotonic() + LIMIT_MS / 1000
    while len(requests) < count:
        assert time.monotonic() < deadline, f"{len(requests)} of {count} requests came"
        page.wait_for_timeout(20)


def held(page: Page, address: str, times: int | None = None) -> list[Route]:
    """Hold requests to an address, all or the first ones, and return the list that they are put in."""
    found: list[Route] = []

    def hold(route: Route) -> None:
        found.append(route)

    page.route(address, hold, times=times)
    return found
