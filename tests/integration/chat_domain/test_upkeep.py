"""What nobody can ask for any more goes, some at a time, and nothing else does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest

from chat.domain import upkeep
from chat.domain.limits import ChatLimits
from chat.domain.refusals import OutOfTurn
from chat.domain.sending import Order
from tests.support.chat_domain import open_bench
from tests.support.clocks import ManualClock
from tests.support.loops import BOTH, on

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.chat_domain import ChatBench

anyio_backend = on(BOTH)


async def rows(bench: ChatBench, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    return await bench.chat.tables._database.query(sql, params)


async def test_what_was_written_in_a_deleted_space_is_gone_but_its_places_stay(
    bench: ChatBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_STEP_COUNT", 2)
    for n in range(5):
        await bench.send(f"secret {n}", client_id=f"mine-{n}")
    sent = (await bench.messages())[3]["id"]
    await bench.chat.messages.edit(bench.ann, "e", sent, "secret too")
    await bench.chat.messages.react(bench.bob, "r", sent, "+1", is_on=True)
    await bench.chat.messages.pin(bench.ann, "p", sent, is_on=True)
    kept = await bench.chat.direct.open(bench.ann, "d", bench.bob)
    await bench.send("secret kept", room=int(kept["room_id"]))

    await bench.chat.spaces.delete(bench.ann, "x", bench.space)
    await bench.chat.upkeep.do_round()
    await bench.chat.upkeep.do_round()

    left = await rows(
        bench, "SELECT client_id, content FROM message WHERE room_id = ? ORDER BY seq", bench.room
    )
    assert left == [(f"mine-{n}", None) for n in range(5)]
    for table in ("reaction", "pin", "message_edit"):
        assert await rows(bench, f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608 - of the list above
    found = await rows(bench, "SELECT rowid FROM message_text WHERE message_text MATCH 'secret'")
    assert len(found) == 1
    assert await rows(bench, "SELECT settings, purged_at_ms > 0 FROM space WHERE id = ?", bench.space) == [
        ("{}", 1)
    ]


async def test_the_order_of_a_device_is_forgotten_long_after_its_last_send(tmp_path: Path) -> None:
    clock = ManualClock()
    limits = ChatLimits(out_of_turn_patience_s=0.01, max_order_age_s=60)
    async with open_bench(tmp_path / "chat.db", clock=clock, limits=limits) as bench:
        await bench.send("first", order=Order("s", 1))
        await bench.chat.upkeep.do_round()
        await bench.send("second", order=Order("s", 2))
        clock.advance(61)
        await bench.chat.upkeep.do_round()
        with pytest.raises(OutOfTurn):
            await bench.send("third", order=Order("s", 3))


async def test_rounds_are_done_until_the_chat_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "PAUSE_S", 0.01)
    with anyio.fail_after(20):
        async with open_bench(tmp_path / "chat.db") as bench:
            await bench.chat.spaces.delete(bench.ann, "x", bench.space)
            while await bench.chat.tables.one("space_to_purge") is not None:
                await anyio.lowlevel.checkpoint()
