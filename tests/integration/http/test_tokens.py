"""Tokens on a real disk: what is kept of them, who passes, and until when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

import storage
from dataserver import auth
from dataserver.auth import MIGRATIONS, TokenStore, require
from dataserver.refusals import Forbidden, TokenNotFound, TooManyTokens, Unauthenticated
from workers import SystemClock

SETTINGS = storage.StorageSettings(kind="thread", worker_count=1)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[TokenStore]:
    async with storage.open(path, SETTINGS, migrations=MIGRATIONS) as database:
        yield await TokenStore.open(database, clock=SystemClock())


def bearer(token: str) -> bytes:
    return f"Bearer {token}".encode()


async def test_a_token_passes_as_its_role_also_after_the_store_was_opened_anew(tmp_path: Path) -> None:
    async with opened(tmp_path / "server.db") as tokens:
        issued = await tokens.create(name="mine", role="write")
        assert issued.token.startswith("dst_")
        assert tokens.authenticate(bearer(issued.token)).role == "write"
    async with opened(tmp_path / "server.db") as tokens:
        assert tokens.authenticate(bearer(issued.token)).token_id == issued.id
        assert [(token.name, token.role) for token in tokens.list()] == [("mine", "write")]


async def test_no_file_holds_the_text_of_a_token(tmp_path: Path) -> None:
    async with opened(tmp_path / "server.db") as tokens:
        issued = await tokens.create(name="mine", role="admin")
    secret = issued.token.removeprefix("dst_").encode()
    assert not [file async for file in anyio.Path(tmp_path).iterdir() if secret in await file.read_bytes()]


async def test_a_revoked_token_stays_worthless(tmp_path: Path) -> None:
    async with opened(tmp_path / "server.db") as tokens:
        issued = await tokens.create(name="mine", role="read")
        await tokens.revoke(issued.id)
        with pytest.raises(Unauthenticated):
            tokens.authenticate(bearer(issued.token))
        with pytest.raises(TokenNotFound):
            await tokens.revoke(issued.id)
    async with opened(tmp_path / "server.db") as tokens:
        with pytest.raises(Unauthenticated):
            tokens.authenticate(bearer(issued.token))
        assert tokens.list()[0].revoked_at_ms is not None


async def test_the_first_admin_is_made_once_in_the_life_of_a_folder(tmp_path: Path) -> None:
    async with opened(tmp_path / "server.db") as tokens:
        first = await tokens.create_first_admin()
        assert first is not None
        assert await tokens.create_first_admin() is None
        await tokens.revoke(first.id)
        assert await tokens.create_first_admin() is None


@pytest.mark.parametrize(
    "header", [None, b"", b"Bearer", b"Bearer x", b"Basic x", b"Bearer " + b"x" * 10_000, b"\xff"]
)
async def test_what_is_no_token_does_not_pass(header: bytes | None, tmp_path: Path) -> None:
    async with opened(tmp_path / "server.db") as tokens:
        with pytest.raises(Unauthenticated):
            tokens.authenticate(header)


async def test_a_role_reaches_itself_and_those_below(tmp_path: Path) -> None:
    async with opened(tmp_path / "server.db") as tokens:
        issued = await tokens.create(name="", role="write")
        writer = tokens.authenticate(bearer(issued.token))
    require(writer, "read")
    require(writer, "write")
    with pytest.raises(Forbidden) as refused:
        require(writer, "admin")
    assert refused.value.details == {"needed": "admin", "has": "write"}


async def test_tokens_have_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "MAX_TOKEN_COUNT", 1)
    async with opened(tmp_path / "server.db") as tokens:
        await tokens.create(name="", role="read")
        with pytest.raises(TooManyTokens):
            await tokens.create(name="", role="read")


@pytest.mark.parametrize("wrong", [{"name": "", "role": "emperor"}, {"name": "x" * 201, "role": "read"}])
async def test_a_token_without_sense_is_not_made(wrong: dict[str, str], tmp_path: Path) -> None:
    async with opened(tmp_path / "server.db") as tokens:
        with pytest.raises(ValueError, match="allowed"):
            await tokens.create(**wrong)  # type: ignore[arg-type] # what is wrong is the point
        assert tokens.list() == []
