from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import msgspec
import pytest

from chat.errors import (
    ActionExpired,
    ActionFailed,
    AuthExpired,
    Conflict,
    DeliveryError,
    Permanent,
    RateLimited,
    TargetGone,
    Transient,
    Unreachable,
)
from chat.queue.actions import BUILT_IN, ActionType, ActionTypes
from chat.queue.payloads import DeleteMessage, EditMessage, JoinSpace, KickUser, React, UpdateSpace
from chat.testing import Accept, Hold, LoseAnswer, ManualClock, ScriptedServer
from tests.support.chat_queue import Bench, message, opened, passing_time
from tests.support.loops import one_loop
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from chat.queue.handlers import Delivery

ABOUT: dict[str, Any] = {"room_id": "a", "message_id": "m"}


async def test_without_contact_no_attempt_is_used_and_all_goes_out_at_once_when_it_is_back(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as bench:
        bench.server.always(lambda _: Unreachable())
        receipts = [bench.queue.put(message(str(n), room=str(n % 3))) for n in range(9)]
        await until(lambda: not bench.queue.is_online)
        for _ in range(10):
            bench.clock.advance(seconds=31)
            await until(lambda: bool(bench.server.calls))
        calls_count = len(bench.server.calls)
        bench.server.always(None)
        bench.queue.go_online()
        for receipt in receipts:
            await receipt.sent()

        assert {event.attempts for event in await bench.events()} == {0}
        assert calls_count <= 3 + 10  # those that were under way, and one knock each time
        assert len(bench.server.effects) == 9


async def test_a_knock_that_is_answered_opens_the_door_for_all(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Unreachable())
        first = await bench.queue.enqueue(message("1", room="a"))
        await until(lambda: not bench.queue.is_online)
        second = await bench.queue.enqueue(message("2", room="b"))
        assert (await bench.queue.explain(second.client_id)).text == "it waits for a connection"
        bench.clock.advance(seconds=1)

        await first.sent()
        await second.sent()
        assert bench.queue.is_online


async def test_a_probe_knocks_instead_of_an_action(tmp_path: Path) -> None:
    probes: list[bool] = []

    async def probe() -> bool:
        probes.append(len(probes) == 1)
        return probes[-1]

    async with opened(tmp_path, probe=probe, lease_s=3_600) as bench:
        bench.server.script(Unreachable())
        receipt = await bench.queue.enqueue(message("1"))
        await until(lambda: not bench.queue.is_online)
        bench.clock.advance(seconds=1)
        await until(lambda: probes == [False])
        calls_count = len(bench.server.calls)
        async with passing_time(bench.clock):
            await receipt.sent()

        assert (calls_count, len(bench.server.calls), probes) == (1, 2, [False, True])


async def test_a_caller_that_knows_better_switches_delivery_off_and_on(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.queue.go_offline()
        receipt = await bench.queue.enqueue(message("1"))
        bench.clock.advance(seconds=100)
        await anyio.wait_all_tasks_blocked()
        calls_count = len(bench.server.calls)
        bench.queue.go_online()
        bench.queue.go_online()

        await receipt.sent()
        assert calls_count == 0
        assert len(bench.server.calls) == 1


async def test_an_expired_session_pauses_its_account_only_and_loses_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.always(lambda delivery: AuthExpired() if delivery.account == "ann" else Accept())
        receipts = [bench.queue.put(message(f"{n}", room=f"{n % 2}"), account="ann") for n in range(10)]
        (*_, event) = await bench.until("session.expired")
        await (await bench.queue.enqueue(message("bob's"), account="bob")).sent()
        late = await bench.queue.enqueue(message("late", room="new"), account="ann")
        why = await bench.queue.explain(late.client_id)
        bench.server.always(None)
        calls_count = len(bench.server.calls)
        await bench.queue.resume_account("ann")
        for receipt in (*receipts, late):
            await receipt.sent()

        assert event.account == "ann"
        assert why.text == "the account has to log in again"
        assert calls_count <= 1 + 4
        for room in ("0", "1"):
            sent = [each.payload.content for each in bench.server.effects if each.payload.room_id == room]
            assert sent == [str(n) for n in range(10) if str(n % 2) == room]
        assert {event.attempts for event in await bench.events()} == {0}


async def test_a_call_of_the_old_session_that_fails_after_the_login_does_not_pause_the_account_again(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as bench:
        release = anyio.Event()
        bench.server.script(Hold(release, then=AuthExpired()), AuthExpired())
        slow = await bench.queue.enqueue(message("slow", room="a"))
        await bench.server.until_called()
        quick = await bench.queue.enqueue(message("quick", room="b"))
        await bench.until("session.expired")
        bench.clock.advance(seconds=1)
        await bench.queue.resume_account()
        release.set()
        with anyio.fail_after(10):
            await slow.sent()
            await quick.sent()

        assert [event.kind for event in await bench.events()].count("session.expired") == 1


@one_loop
async def test_an_expired_session_is_still_expired_after_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(AuthExpired())
        receipt = await bench.queue.enqueue(message("1"))
        await bench.until("session.expired")
    async with opened(tmp_path) as bench:
        bench.clock.advance(seconds=1000)
        await anyio.wait_all_tasks_blocked()
        assert bench.server.calls == []
        await bench.queue.resume_account()

        await bench.until("done", receipt.client_id)


async def test_a_server_that_has_too_many_calls_is_given_just_the_time_it_asks_for(tmp_path: Path) -> None:
    async with opened(tmp_path, chance=0.0) as bench:
        bench.server.script(RateLimited(retry_after_s=17.0))
        receipt = await bench.queue.enqueue(message("1"))
        (*_, event) = await bench.until("retry_wait")
        bench.clock.advance(seconds=16.9)
        await anyio.wait_all_tasks_blocked()
        calls_count = len(bench.server.calls)
        bench.clock.advance(seconds=0.1)

        await receipt.sent()
        assert (event.attempts, event.wait_ms, calls_count) == (0, 17_000, 1)


async def test_a_lost_answer_is_asked_for_and_the_action_is_not_done_twice(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(LoseAnswer())
        receipt = await bench.queue.enqueue(message("1"))
        await bench.until("uncertain")
        bench.clock.advance(seconds=2)

        assert await receipt.sent() == {"seq": 1}
        assert (len(bench.server.calls), len(bench.server.asked)) == (1, 1)


async def test_an_action_that_never_arrived_is_asked_for_and_then_called_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(LoseAnswer(has_effect=False))
        bench.server.ask_steps.append(Transient(status=500))
        receipt = await bench.queue.enqueue(message("1"))
        await bench.until("uncertain")
        for _ in range(2):
            await anyio.wait_all_tasks_blocked()
            bench.clock.advance(seconds=10)
            await until(lambda: len(bench.server.asked) > 0)

        assert await receipt.sent() == {"seq": 1}
        assert len(bench.server.calls) == 2


@one_loop
async def test_an_action_of_which_the_server_never_says_whether_it_was_done_is_given_up_as_that(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, lease_s=1e6, call_timeout_s=1e6) as bench:
        bench.server.script(LoseAnswer())
        bench.server.ask_steps.extend(Transient(status=500) for _ in range(10))
        receipt = await bench.queue.enqueue(message("1"), max_attempts=1)
        with anyio.fail_after(20):
            await bench.until("uncertain")
            for count in range(1, 11):
                await until(lambda: not bench.queue._engine.runner._lanes.by_id)
                bench.clock.advance(seconds=300)
                while len(bench.server.asked) < count:
                    await anyio.lowlevel.checkpoint()
            with pytest.raises(ActionFailed, match="outcome_not_told"):
                await receipt.sent()
            answer = await bench.queue.cancel(receipt.client_id, redact=False)
            await bench.queue.retry(receipt.client_id)
            await bench.until("done", receipt.client_id)

        assert answer == "too_late"
        assert bench.called() == ["1"]
        assert len(bench.server.asked) == 11


def odd_error(**odd: Any) -> DeliveryError:
    error = RateLimited("odd", retry_after_s=1)
    for name, value in odd.items():
        setattr(error, name, value)
    return error


@one_loop
@pytest.mark.parametrize(
    "odd",
    [
        {"retry_after_s": "5"},
        {"retry_after_s": None},
        {"retry_after_s": "soon"},
        {"status": "429"},
        {"status": 10**30},
        {"code": 7},
        {"code": b"\xff"},
        {"kind": "weird"},
    ],
    ids=str,
)
async def test_a_handler_that_puts_something_odd_into_its_error_harms_nothing_else(
    tmp_path: Path, odd: dict[str, Any]
) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(odd_error(**odd))
        receipt = bench.queue.put(message("1"))
        await bench.queue.put(message("2", room="b")).sent()
        await bench.until("retry_wait", receipt.client_id)
        found = await bench.queue.find(receipt.client_id)

        assert found.failure is not None
        assert found.failure.retry_after_s in {1.0, 5.0, None}


@one_loop
async def test_a_rule_for_going_along_that_breaks_lets_each_go_alone(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:

        def broken(*_: Any) -> bool:
            raise KeyError("room")

        receipts = [bench.queue.put(message(str(number))) for number in range(3)]
        await receipts[-1].durable()
        bench.queue.handle("send-message", bench.server.deliver, ask=bench.server.ask, joins=broken)
        with anyio.fail_after(20):
            for receipt in receipts:
                await receipt.sent()

        assert bench.called() == ["0", "1", "2"]


async def test_a_handler_that_takes_too_long_is_stopped_and_its_answer_counts_as_lost(tmp_path: Path) -> None:
    async with opened(tmp_path, call_timeout_s=30.0, lease_s=1000.0) as bench:
        bench.server.script(Hold(anyio.Event()))
        receipt = await bench.queue.enqueue(message("1"))
        await bench.server.until_called()
        bench.clock.advance(seconds=30)
        (*_, event) = await bench.until("uncertain")
        bench.clock.advance(seconds=2)

        await receipt.sent()
        assert event.failure is not None
        assert (event.failure.code, event.attempts) == ("timed_out", 1)


async def test_a_handler_that_breaks_may_have_called_the_server_so_that_is_asked_before_the_next_try(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as bench:
        breaks = iter([True, False])

        async def deliver(delivery: Delivery) -> Any:
            if next(breaks):
                raise KeyError("a bug")
            return await bench.server.deliver(delivery)

        bench.queue.handle("send-message", deliver, ask=bench.server.ask)
        receipt = await bench.queue.enqueue(message("1"))
        (*_, event) = await bench.until("uncertain")
        bench.clock.advance(seconds=1)

        assert await receipt.sent() == {"seq": 1}
        assert bench.server.asked == [receipt.client_id]
        assert event.failure is not None
        assert (event.failure.code, event.failure.message) == ("handler_failed", "KeyError")


async def test_what_is_skipped_comes_back_even_if_it_has_not_to_wait_at_all(tmp_path: Path) -> None:
    async with opened(tmp_path, chance=0.0) as bench:
        bench.server.script(Transient(status=500))
        deletion = await bench.queue.enqueue(DeleteMessage(**ABOUT))
        with anyio.fail_after(10):
            await deletion.sent()

        assert len(bench.server.calls) == 2


@one_loop
async def test_an_answer_with_texts_that_nobody_can_store_does_not_break_the_queue(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        half = "half a pair: \ud800 " + "x" * 10_000
        bench.server.script(Permanent(half, status=403, code=half), Accept("\ud800"), Accept("y" * 2_000_000))
        refused_one = await bench.queue.enqueue(message("1"))
        with anyio.fail_after(10):
            with pytest.raises(ActionFailed):
                await refused_one.sent()
            odd = await bench.queue.enqueue(message("2"))
            large = await bench.queue.enqueue(message("3"))
            answers = [await odd.sent(), await large.sent()]
        shown = await bench.queue.find(refused_one.client_id)

        assert shown.failure is not None
        assert shown.failure.message.startswith("half a pair: ? xxx")
        assert len(shown.failure.message) <= 2_000
        assert answers[0] in {"\ud800", None}
        assert answers[1] in {"y" * 2_000_000, None}


@one_loop
async def test_an_up_caster_that_breaks_holds_its_action_and_not_the_queue(tmp_path: Path) -> None:
    def broken(_: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("a bug")

    def broken_types() -> ActionTypes:
        note = ActionType(name="note", payload=Note, version=2, upcasters={1: broken})
        return ActionTypes([*BUILT_IN, note])

    async with opened(tmp_path, types=note_types(1), handles=False) as bench:
        held = await bench.queue.enqueue(Note(title="hi"))
    async with opened(tmp_path, types=broken_types()) as bench:
        with anyio.fail_after(10):
            await bench.until("paused", held.client_id)
            await (await bench.queue.enqueue(message("next"))).sent()
        shown = await bench.queue.find(held.client_id)

        assert shown.failure is not None
        assert shown.failure.code == "upcaster_failed"


@one_loop
async def test_more_than_were_ever_let_go_on_at_once_go_on_when_their_version_is_known(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, types=note_types(2), handles=False) as bench:
        for number in range(600):
            bench.queue.put(Note(title=str(number)))
    async with opened(tmp_path, types=note_types(1)) as bench:
        with anyio.fail_after(20):
            await bench.until("paused", times=600)
    async with opened(tmp_path, types=note_types(2)) as bench:
        with anyio.fail_after(20):
            await bench.until("done", times=600)


@one_loop
async def test_a_server_that_has_too_many_calls_is_given_its_time_and_a_little_more_by_chance(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, chance=0.5) as bench:
        bench.server.script(RateLimited(retry_after_s=17.0))
        receipt = await bench.queue.enqueue(message("1"))
        (*_, event) = await bench.until("retry_wait")
        bench.clock.advance(seconds=17.5)

        await receipt.sent()
        assert event.wait_ms == 17_500  # jitter is at most the base delay, of which this is half


@one_loop
async def test_an_action_of_unknown_outcome_that_has_become_pointless_is_asked_about_before_it_expires(
    tmp_path: Path,
) -> None:
    for has_effect, state in ((True, "done"), (False, "expired")):
        async with opened(tmp_path) as bench:
            bench.server.script(LoseAnswer(has_effect=has_effect))
            receipt = await bench.queue.enqueue(React(emoji=f"{has_effect}", **ABOUT))
            await bench.until("uncertain", receipt.client_id)
            bench.clock.advance(seconds=86_401)
            with anyio.fail_after(10):
                await bench.until(state, receipt.client_id)

            assert len(bench.server.calls) == 1


async def refused(bench: Bench, payload: Any, error: DeliveryError) -> tuple[str, Any]:
    """Return the state that an action with `payload` ends in, and its failure, when the server says `error`."""
    bench.server.script(error)
    receipt = await bench.queue.enqueue(payload)
    states = {"failed", "expired", "done"}
    async for event in bench.queue.follow_events(0):
        if event.client_id == receipt.client_id and event.kind in states:
            return event.kind, event.failure and event.failure.status
    raise AssertionError


@pytest.mark.parametrize(
    ("payload", "error", "state"),
    [
        (message("1"), Permanent(status=403), "failed"),
        (message("1"), TargetGone(status=404), "expired"),
        (EditMessage(content="x", **ABOUT), Permanent(status=404), "failed"),
        (EditMessage(content="x", **ABOUT), TargetGone(status=404), "expired"),
        (DeleteMessage(**ABOUT), TargetGone(status=404), "done"),
        (React(emoji="+1", **ABOUT), Permanent(status=404), "expired"),
        (KickUser(space_id="s", user_id="u"), TargetGone(), "done"),
        (JoinSpace(space_id="s"), TargetGone(), "done"),
        (UpdateSpace(space_id="s", fields={"a": 1}), Permanent(status=403), "failed"),
    ],
)
@one_loop
async def test_a_refusal_ends_an_action_as_its_type_says(
    tmp_path: Path, payload: Any, error: DeliveryError, state: str
) -> None:
    async with opened(tmp_path) as bench:
        assert (await refused(bench, payload, error))[0] == state
        await (await bench.queue.enqueue(message("next"))).sent()


@one_loop
async def test_a_deletion_is_tried_until_it_is_done_and_holds_nothing_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.always(
            lambda delivery: (
                Permanent(status=403) if isinstance(delivery.payload, DeleteMessage) else Accept()
            )
        )
        deletion = await bench.queue.enqueue(DeleteMessage(**ABOUT))
        await (await bench.queue.enqueue(message("next"))).sent()
        for tries in range(1, 8):
            await bench.until("retry_wait", deletion.client_id, times=tries)
            bench.clock.advance(seconds=300)
        bench.server.always(None)
        bench.clock.advance(seconds=300)

        await deletion.sent()


@one_loop
async def test_a_conflict_blocks_its_lane_until_somebody_decides(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Conflict(status=412))
        first = await bench.queue.enqueue(UpdateSpace(space_id="s", fields={"a": 1}))
        await bench.until("failed")
        second = await bench.queue.enqueue(JoinSpace(space_id="s"))
        why = await bench.queue.explain(second.client_id)
        await bench.queue.retry(first.client_id)

        await second.sent()
        assert why.text == "it is behind update-space, which is failed: 412"
        assert why.behind == first.client_id
        assert [each.type for each in bench.server.effects] == ["update-space", "join-space"]


@one_loop
async def test_what_a_failed_try_said_survives_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path) as bench:
        bench.server.script(Permanent("you are muted", status=403, code="muted"))
        receipt = await bench.queue.enqueue(message("1"))
        with pytest.raises(ActionFailed):
            await receipt.sent()
        at_ms = bench.clock.wall_ms()
    async with opened(tmp_path) as bench:
        found = await bench.queue.find(receipt.client_id)

        assert found.failure is not None
        assert (found.state, found.failure.code, found.failure.text) == (
            "failed",
            "muted",
            "403: you are muted",
        )
        assert found.finished_at_ms == at_ms
        assert found.payload == message("1")


class Note(msgspec.Struct):
    title: str
    text: str = ""


def note_types(version: int) -> ActionTypes:
    upcasters = {
        number: (lambda plain: {**plain, "title": plain["title"] + "!"}) for number in range(1, version)
    }
    return ActionTypes(
        [*BUILT_IN, ActionType(name="note", payload=Note, version=version, upcasters=upcasters)]
    )


@one_loop
async def test_a_payload_of_an_older_version_is_lifted_step_by_step(tmp_path: Path) -> None:
    async with opened(tmp_path, types=note_types(1), handles=False) as bench:
        await bench.queue.enqueue(Note(title="hi"))
    async with opened(tmp_path, types=note_types(3)) as bench:
        await bench.until("done")

        assert [each.payload for each in bench.server.effects] == [Note(title="hi!!")]


@one_loop
async def test_a_payload_of_an_unknown_version_is_held_and_shown_and_goes_on_when_it_is_known(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path, types=note_types(2), handles=False) as bench:
        receipt = await bench.queue.enqueue(Note(title="hi"))
    async with opened(tmp_path, types=note_types(1)) as bench:
        await bench.until("paused")
        bench.clock.advance(seconds=10_000)
        (shown,) = await bench.queue.some(type_name="note")
        why = await bench.queue.explain(receipt.client_id)
        assert (shown.state, shown.failure and shown.failure.code) == ("paused", "unknown_version")
        assert why.text.startswith("this program can't read it")
        assert bench.server.calls == []
    async with opened(tmp_path, types=note_types(2)) as bench:
        await bench.until("done")

        assert [each.payload for each in bench.server.effects] == [Note(title="hi")]


async def test_an_action_waits_for_its_handler_and_fails_when_none_ever_comes(tmp_path: Path) -> None:
    async with opened(tmp_path, types=note_types(1), handles=False, handler_wait_s=100.0) as bench:
        first = await bench.queue.enqueue(Note(title="1"))
        bench.clock.advance(seconds=50)
        bench.queue.handle_all(bench.server)
        await first.sent()
    async with opened(tmp_path, types=note_types(1), handles=False, handler_wait_s=100.0) as bench:
        second = await bench.queue.enqueue(Note(title="2"))
        await anyio.wait_all_tasks_blocked()
        for _ in range(3):
            bench.clock.advance(seconds=61)
            await anyio.wait_all_tasks_blocked()

        with pytest.raises(ActionFailed, match="no_handler"):
            await second.sent()


@one_loop
async def test_a_reaction_that_waited_for_too_long_expires(tmp_path: Path) -> None:
    async with opened(tmp_path, handles=False) as bench:
        receipt = await bench.queue.enqueue(React(emoji="+1", **ABOUT))
        bench.clock.advance(seconds=86_401)
        await bench.until("expired")

        with pytest.raises(ActionExpired):
            await receipt.sent()
        bench.queue.handle_all(bench.server)
        await (await bench.queue.enqueue(message("next"))).sent()
        assert bench.called() == ["next"]


async def test_a_stop_costs_no_attempt_and_what_was_under_way_is_asked_for(tmp_path: Path) -> None:
    server, clock = ScriptedServer(), ManualClock()
    patient: dict[str, Any] = {
        "lease_s": 1e6,
        "call_timeout_s": 1e6,
    }  # time flies here, and disks may be slow
    async with passing_time(clock):
        async with opened(tmp_path, server, clock=clock, **patient) as bench:
            server.script(Hold(anyio.Event()))
            first = await bench.queue.enqueue(message("1"))
            second = await bench.queue.enqueue(message("2"))
            await server.until_called()
        async with opened(tmp_path, server, clock=clock, **patient) as bench:
            await bench.until("done", second.client_id)

            assert (await bench.kinds(first.client_id))[:3] == ["queued", "calling", "uncertain"]
            assert {event.attempts for event in await bench.events()} == {0}
            assert bench.contents() == ["1", "2"]
            assert server.asked == [first.client_id]
