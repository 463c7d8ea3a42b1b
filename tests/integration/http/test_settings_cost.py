"""What the sync of settings, profile and keys costs a client does not grow with the spaces that its user is in.

Server and client run in one process here, so that the statements of both are counted.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import msgspec
import pytest

from chat import Client
from chat.client.api import Api
from tests.support.chat_application import open_application
from tests.support.chat_client import PASSWORD, QUICK
from tests.support.chat_domain import ChatBench, into_spaces
from tests.support.served import running
from tests.support.statement_counts import counted
from workers import SigningKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from chat import Receipt

LIMIT_S = 50.0
COUNTS = (1, 50, 1_000)
NOT_LIVE = replace(QUICK, is_live=False)

httpx2.Client().close()  # it loads the rest of itself with the first one, which reads files


@asynccontextmanager
async def served(tmp_path: Path) -> AsyncIterator[tuple[ChatBench, str]]:
    """Serve a chat in this process."""
    async with open_application(tmp_path) as (app, bench):

        async def without_lifespan(scope: Any, receive: Any, send: Any) -> None:
            """Hand requests on; what begins with a server (it measures the process) is of no use here."""
            if scope["type"] == "lifespan":
                for _ in range(2):
                    await send({"type": f"{(await receive())['type']}.complete"})
                return
            await app(scope, receive, send)

        async with running(without_lifespan, "uvicorn") as (address, _):
            yield bench, address.url


@dataclass
class Asked:
    """What a client asked a server, and what both ran for it."""

    calls: list[tuple[str, str, int]] = field(default_factory=list)
    """Each with the bytes of its body."""
    statements: list[str] = field(default_factory=list)


async def test_a_save_asks_and_sends_the_same_with_one_space_and_with_a_thousand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, asked = SigningKey.generate(), Asked()
    former = Api.call

    async def noted(self: Api, method: str, path: str, body: Any = None, **how: Any) -> Any:
        asked.calls.append((method, path, len(msgspec.json.encode(body))))
        return await former(self, method, path, body, **how)

    async with (
        served(tmp_path) as (bench, url),
        Client(url, store=tmp_path / "zoe", settings=NOT_LIVE) as zoe,
    ):
        await zoe.register("zoe", PASSWORD)
        zoe.settings.allow_sync(key)
        with anyio.fail_after(LIMIT_S):
            await saved(zoe, "000")
            have: list[str] = []
            costs = []
            for number, count in enumerate(COUNTS):
                new = await into_spaces(bench, int(zoe.user_id), count - len(have))
                have += new
                for space in new:
                    await zoe.keys.change(space, "as it was")
                await sent(await zoe.keys.sync())
                asked = Asked()
                with monkeypatch.context() as patch, counted(patch) as statements:
                    patch.setattr(Api, "call", noted)
                    await saved(zoe, f"{number:03}")
                    await zoe.keys.change(have[0], f"key {number}")
                    await sent(zoe.update_profile(mood=f"mood {number}"))
                    await sent(await zoe.keys.sync())
                asked.statements = sorted(statements)
                costs.append(asked)
    assert [path for _, path, _ in costs[0].calls] == [
        "/v1/me/settings",
        "/v1/me/profile",
        "/v1/me/space-keys",
    ]
    assert costs[0].statements
    assert costs[0] == costs[1] == costs[2]


async def saved(client: Client, value: str) -> None:
    await sent(await client.settings.set({"preferences.theme": value}))


async def sent(receipt: Receipt | None) -> None:
    assert receipt is not None
    await receipt.sent()
