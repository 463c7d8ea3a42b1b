"""The chat under load, for Locust: `locust -f loadtests/chat.py --host URL --users 100`.

Members of one room, half of them over a WebSocket, half over HTTP, each sending at a steady pace: `send` is the time to
the acknowledgement on disk, `delivery` that from a send to each member who follows the room. The accounts are made for
the run; a visitor is one device of one of them.

Few follow the room: one process reads all deliveries, and with 50 followers it was the one that could not keep up: of 150
messages a second that were offered 24 were sent, and 1,070 deliveries a second took 1.9 s at the median, on two cores
under a load of 13 (2026-11-23). How many a server delivers is what the bench's own client counts. Where the rate sinks
below the one offered, times are too kind: the last line says which it was.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from itertools import count
from time import monotonic, monotonic_ns
from typing import Any, Final
from urllib.parse import urlsplit

import gevent
import msgspec
import websocket
from gevent.event import AsyncResult
from locust import FastHttpUser, User, constant_throughput, events, task
from typing_extensions import override

from loadtests.api import Api

ACCOUNT_COUNT: Final = 20
"""As many as may register from one address at once, and more devices than that a user has none."""
DELIVERY: Final = "delivery"
_LIMIT_S: Final = 30.0
_PASSWORD: Final = "correct horse battery"  # noqa: S105 - of accounts that only a load has
_TOKEN_NAME: Final = "access_token"  # noqa: S105 - the name of a field


class Room:
    """The room that all are in, and the tokens of its members."""

    id = ""
    tokens: Final[list[str]] = []
    numbers = count()

    @classmethod
    def token(cls) -> str:
        """Return the token of the next visitor."""
        return cls.tokens[next(cls.numbers) % len(cls.tokens)]


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]  # locust's own
def _add_options(parser: Any) -> None:
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second, all visitors together")
    parser.add_argument(
        "--followers", type=int, default=5, help="how many of those on WebSockets hear what all send"
    )


@events.init.add_listener  # type: ignore[untyped-decorator]  # locust's own
def _prepare(environment: Any, **_: Any) -> None:
    """Make the accounts and the room, before the clock of the run starts."""
    options = environment.parsed_options
    pace = constant_throughput(options.rate / max(1, options.num_users or 1))
    SocketMember.wait_time = HttpMember.wait_time = pace
    SocketMember.followers = iter(range(options.followers))
    make_room(environment.host or options.host)


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # locust's own
def _tell_rate(environment: Any, **_: Any) -> None:
    """Say whether the load was the one that was asked for."""
    entries = environment.stats.entries.values()
    asked = [entry for entry in entries if entry.name != DELIVERY]
    total = environment.stats.total
    seconds = (total.last_request_timestamp or 0.0) - total.start_time
    reached = sum(entry.num_requests for entry in asked) / max(seconds, 1.0)
    print(f"{reached:,.1f} of {environment.parsed_options.rate:,.1f} requests/s offered were made")


def make_room(url: str) -> None:
    """Register the accounts, and let all of them into a room."""
    word = uuid.uuid4().hex[:8]
    for number in range(ACCOUNT_COUNT):
        body = {"name": f"load-{word}-{number}", "password": _PASSWORD}
        Room.tokens.append(_asked(url, "", "POST", "/v1/auth/register", body)[_TOKEN_NAME])
    owner, *others = Room.tokens
    space = _asked(url, owner, "POST", "/v1/spaces", {"client_id": word, "name": word, "is_open": True})["id"]
    for token in others:
        _asked(url, token, "POST", f"/v1/spaces/{space}/join", {"client_id": word})
    room = {"client_id": f"{word}-room", "name": "load"}
    Room.id = _asked(url, owner, "POST", f"/v1/spaces/{space}/rooms", room)["id"]


def _asked(url: str, token: str, method: str, path: str, body: dict[str, Any]) -> Any:
    return json.loads(Api(url, token).ask(method, path, body))


def _message() -> dict[str, str]:
    return {"client_id": uuid.uuid4().hex, "content": f"t{monotonic_ns()} how is everybody here today?"}


class HttpMember(FastHttpUser):
    """Sends over HTTP, and reads the last page now and then."""

    connection_timeout = _LIMIT_S
    network_timeout = _LIMIT_S

    @override
    def on_start(self) -> None:
        """Be somebody."""
        self._headers = {"Authorization": f"Bearer {Room.token()}"}

    @task(9)
    def send(self) -> None:
        """Send a message."""
        self.client.post(
            f"/v1/rooms/{Room.id}/messages", json=_message(), headers=self._headers, name="send, HTTP"
        )

    @task(1)
    def read(self) -> None:
        """Read the last page."""
        path = f"/v1/rooms/{Room.id}/messages?before_seq=9000000000&limit=50"
        self.client.get(path, headers=self._headers, name="page, HTTP")


class SocketMember(User):
    """Sends over a WebSocket; the first few hear what all send."""

    followers: Iterator[int] = iter(())
    """One for each member who follows the room."""

    @override
    def on_start(self) -> None:
        """Connect, and follow the room."""
        address = urlsplit(self.host or "")
        self._answers: dict[int, AsyncResult[dict[str, Any]]] = {}
        self._numbers = count(1)
        self._socket = websocket.create_connection(
            f"ws://{address.netloc}/v1/ws",
            timeout=_LIMIT_S,
            header=[f"Authorization: Bearer {Room.token()}"],
        )
        self._reader = gevent.spawn(self._read)
        if next(self.followers, None) is not None:
            self._ask({"op": "subscribe", "streams": {Room.id: None}})

    @override
    def on_stop(self) -> None:
        """Leave."""
        self._reader.kill()
        self._socket.close()

    @task
    def send(self) -> None:
        """Send a message, and wait until it is on disk."""
        begun_s = monotonic()
        answer = self._ask({"op": "send", "room": Room.id, **_message()})
        failure = None if "ok" in answer else RuntimeError(answer["error"]["code"])
        self._note("send, WebSocket", monotonic() - begun_s, failure)

    def _ask(self, command: dict[str, Any]) -> dict[str, Any]:
        number = next(self._numbers)
        self._answers[number] = AsyncResult()
        self._socket.send(json.dumps({"id": number, **command}))
        answer: dict[str, Any] = self._answers[number].get(timeout=_LIMIT_S)
        return answer

    def _read(self) -> None:
        try:
            while text := self._socket.recv():
                self._take(text)
        except (OSError, websocket.WebSocketException) as error:
            self._note("connection", 0.0, error)
            for waiting in self._answers.values():
                waiting.set({"error": {"code": "connection_lost"}})

    def _take(self, text: str | bytes) -> None:
        frame = msgspec.json.decode(text)
        if "event" in frame:
            sent_ns = frame["event"]["message"]["content"][1:].partition(" ")[0]
            self._note(DELIVERY, (monotonic_ns() - int(sent_ns)) / 1e9, None)
        elif frame.get("id") in self._answers:
            self._answers.pop(frame["id"]).set(frame)

    def _note(self, name: str, took_s: float, failure: Exception | None) -> None:
        self.environment.events.request.fire(
            request_type="chat", name=name, response_time=took_s * 1e3, response_length=0, exception=failure
        )
