"""Accounts: who gets in, for how long, and what ends it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import msgspec
import pytest
from typing_extensions import override

from chat.domain.refusals import (
    InvalidValue,
    LimitReached,
    NotFound,
    NotPermitted,
    Taken,
    TooOften,
    UnknownSession,
    WrongPassword,
)
from chat.domain.service import open_chat
from chat.domain.tables import Tables
from storage import StorageSettings, WriteOutcomeUnknown
from tests.support.chat_domain import CHEAP_ACCOUNTS, open_bench
from tests.support.clocks import ManualClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path
    from typing import Any

    from chat.domain.accounts import Accounts
    from chat.domain.sessions import Ended, IssuedSession, Session
    from chat.domain.tables import Step
    from storage import Written
    from tests.support.chat_domain import ChatBench

PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
HOUR_S = 3_600.0
HOSTILE = [
    "'; DROP TABLE user; --",
    "<script>alert(1)</script>",
    "' OR '1'='1",
    "{{7*7}}",
    "../../etc/passwd",
]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def bench(tmp_path: Path, clock: ManualClock) -> AsyncIterator[ChatBench]:
    async with open_bench(tmp_path / "chat.db", clock=clock) as bench:
        yield bench


@pytest.fixture
def accounts(bench: ChatBench) -> Accounts:
    return bench.chat.accounts


@asynccontextmanager
async def opened(path: Path, clock: ManualClock, **settings: Any) -> AsyncIterator[Accounts]:
    async with open_bench(
        path / "chat.db", clock=clock, accounts=replace(CHEAP_ACCOUNTS, **settings)
    ) as bench:
        yield bench.chat.accounts


def who(accounts: Accounts, issued: IssuedSession) -> Session:
    return accounts.authenticate(f"Bearer {issued.access_token}".encode())


def is_known(accounts: Accounts, issued: IssuedSession) -> bool:
    try:
        who(accounts, issued)
    except UnknownSession:
        return False
    return True


def hear_ends(accounts: Accounts) -> list[Ended]:
    heard: list[Ended] = []
    accounts.on_ended(heard.append)
    return heard


async def test_who_registers_is_logged_in_and_can_log_in_again(accounts: Accounts) -> None:
    first = await accounts.register("Zoe", PASSWORD, device="laptop")
    second = await accounts.login("ZOE", PASSWORD, device="phone")

    session = who(accounts, first)
    assert (session.name, session.server_role) == ("zoe", None)
    assert who(accounts, second).user_id == session.user_id
    assert who(accounts, second).device_id != session.device_id


async def test_a_name_is_given_once_whatever_its_letters(accounts: Accounts) -> None:
    await accounts.register("zoe", PASSWORD)
    for name in ("zoe", "ZOE", "ann"):
        with pytest.raises(Taken):
            await accounts.register(name, PASSWORD)


async def test_of_many_who_want_the_same_name_at_once_one_gets_it(accounts: Accounts) -> None:
    outcomes: list[str] = []

    async def register() -> None:
        try:
            await accounts.register("zoe", PASSWORD)
        except Taken:
            outcomes.append("taken")
        else:
            outcomes.append("given")

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(register)

    assert sorted(outcomes) == ["given"] + ["taken"] * 4


async def test_a_name_that_breaks_the_rule_is_refused(accounts: Accounts) -> None:
    for name in ("", " ", ".zoe", "a b", "zoë", "a" * 65, "a" * 1_000_000, "zoe\x00", "-", *HOSTILE):
        with pytest.raises(InvalidValue):
            await accounts.register(name, PASSWORD)


async def test_a_password_that_is_too_short_or_too_long_is_refused(accounts: Accounts) -> None:
    for password in ("", "short", "x" * 1_025, "ü" * 600, "x" * 10_000_000):
        with pytest.raises(InvalidValue):
            await accounts.register("zoe", password)


async def test_a_wrong_password_and_a_name_that_nobody_has_are_told_alike(accounts: Accounts) -> None:
    await accounts.register("zoe", PASSWORD)
    texts = set()
    for name, password in (
        ("zoe", "wrong password"),
        ("nobody", PASSWORD),
        ("ann", "none"),
        *((each, PASSWORD) for each in HOSTILE),
    ):
        with pytest.raises(WrongPassword) as refused:
            await accounts.login(name, password)
        texts.add(str(refused.value))

    assert len(texts) == 1


async def test_a_name_that_nobody_has_costs_a_hash_too(accounts: Accounts) -> None:
    bridge = accounts._passwords._bridges.crypto

    async def hashed_for(name: str) -> int:
        before = bridge.stats().completed_count
        with pytest.raises(WrongPassword):
            await accounts.login(name, "wrong password")
        return bridge.stats().completed_count - before

    await accounts.register("zoe", PASSWORD)
    assert [await hashed_for(name) for name in ("zoe", "nobody", "ann")] == [1, 1, 1]


async def test_no_token_and_no_password_is_in_the_file(tmp_path: Path, clock: ManualClock) -> None:
    async with open_bench(tmp_path / "chat.db", clock=clock) as bench:
        issued = await bench.chat.accounts.register("zoe", PASSWORD)
        renewed = await bench.chat.accounts.refresh(issued.refresh_token)
    content = b"".join([await each.read_bytes() async for each in anyio.Path(tmp_path).iterdir()])

    assert b"zoe" in content
    for secret in (
        PASSWORD,
        *(token for each in (issued, renewed) for token in (each.access_token, each.refresh_token)),
    ):
        assert secret.encode() not in content
        assert secret[4:].encode() not in content


async def test_a_session_survives_the_server(tmp_path: Path, clock: ManualClock) -> None:
    async with open_bench(tmp_path / "chat.db", clock=clock) as bench:
        issued = await bench.chat.accounts.register("zoe", PASSWORD)
    async with open_again(tmp_path, clock) as accounts:
        assert who(accounts, issued).name == "zoe"
        renewed = await accounts.refresh(issued.refresh_token)
    async with open_again(tmp_path, clock) as accounts:
        assert who(accounts, renewed).name == "zoe"
        assert not is_known(accounts, issued)


@asynccontextmanager
async def open_again(path: Path, clock: ManualClock, **settings: Any) -> AsyncIterator[Accounts]:
    accounts = replace(CHEAP_ACCOUNTS, **settings)
    async with open_chat(
        path / "chat.db", StorageSettings(kind="thread", worker_count=1), accounts=accounts, clock=clock
    ) as chat:
        yield chat.accounts


async def test_an_access_token_ends_after_its_hour_and_a_refresh_gives_another(
    accounts: Accounts, clock: ManualClock
) -> None:
    issued = await accounts.register("zoe", PASSWORD)
    clock.advance(HOUR_S - 1)
    assert is_known(accounts, issued)
    clock.advance(1)
    assert not is_known(accounts, issued)

    assert is_known(accounts, await accounts.refresh(issued.refresh_token))


async def test_a_device_that_was_silent_for_too_long_has_to_log_in(
    accounts: Accounts, clock: ManualClock
) -> None:
    issued = await accounts.register("zoe", PASSWORD)
    clock.advance(31 * 24 * HOUR_S)

    with pytest.raises(UnknownSession, match="expired"):
        await accounts.refresh(issued.refresh_token)


async def test_the_pair_before_is_good_until_the_new_one_is_used(accounts: Accounts) -> None:
    issued = await accounts.register("zoe", PASSWORD)
    renewed = await accounts.refresh(issued.refresh_token)

    assert is_known(accounts, issued)
    assert is_known(accounts, renewed)
    assert not is_known(accounts, issued)


async def test_a_refresh_whose_answer_was_lost_is_answered_the_same_again(accounts: Accounts) -> None:
    issued = await accounts.register("zoe", PASSWORD)
    renewed = await accounts.refresh(issued.refresh_token)

    assert await accounts.refresh(issued.refresh_token) == renewed
    assert is_known(accounts, renewed)


async def test_two_refreshes_at_once_get_the_same_pair(accounts: Accounts) -> None:
    issued = await accounts.register("zoe", PASSWORD)
    pairs: list[IssuedSession] = []

    async def refresh() -> None:
        pairs.append(await accounts.refresh(issued.refresh_token))

    async with anyio.create_task_group() as tasks:
        for _ in range(8):
            tasks.start_soon(refresh)

    assert len({each.refresh_token for each in pairs}) == 1
    assert is_known(accounts, pairs[0])


async def test_an_answer_that_was_lost_with_the_server_is_made_anew(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with open_bench(tmp_path / "chat.db", clock=clock) as bench:
        issued = await bench.chat.accounts.register("zoe", PASSWORD)
        lost = await bench.chat.accounts.refresh(issued.refresh_token)
    async with open_again(tmp_path, clock) as accounts:
        renewed = await accounts.refresh(issued.refresh_token)

        assert is_known(accounts, renewed)
        with pytest.raises(UnknownSession):
            await accounts.refresh(lost.refresh_token)


async def test_an_old_refresh_token_ends_the_session_of_its_device_and_no_other(accounts: Accounts) -> None:
    heard = hear_ends(accounts)
    stolen = await accounts.register("zoe", PASSWORD)
    other = await accounts.login("zoe", PASSWORD)
    renewed = await accounts.refresh(stolen.refresh_token)
    assert is_known(accounts, renewed)

    with pytest.raises(UnknownSession, match="used before"):
        await accounts.refresh(stolen.refresh_token)

    assert not is_known(accounts, renewed)
    with pytest.raises(UnknownSession):
        await accounts.refresh(renewed.refresh_token)
    assert is_known(accounts, other)
    assert heard == [(int(renewed.user_id), int(renewed.device_id), "token_reused")]


async def test_a_made_up_refresh_token_is_unknown_and_ends_nothing(accounts: Accounts) -> None:
    issued = await accounts.register("zoe", PASSWORD)
    for tail in ("", "x", "A" * 65, "A" * 64 + "\n", "A" * 100_000, *HOSTILE):
        for token in (f"dsr_{tail}", tail, issued.access_token):
            with pytest.raises(UnknownSession):
                await accounts.refresh(token)

    assert is_known(accounts, issued)


async def test_what_is_no_token_of_ours_lets_nobody_in(accounts: Accounts) -> None:
    await accounts.register("zoe", PASSWORD)
    for header in (None, b"", b"Bearer", b"Bearer x", b"Basic eDp5", b"Bearer dsu_" + b"A" * 43):
        with pytest.raises(UnknownSession):
            accounts.authenticate(header)


async def test_a_refresh_token_is_no_access_token(accounts: Accounts) -> None:
    issued = await accounts.register("zoe", PASSWORD)
    with pytest.raises(UnknownSession):
        accounts.authenticate(f"Bearer {issued.refresh_token}".encode())


async def test_a_logout_ends_this_session_and_tells_it(accounts: Accounts) -> None:
    heard = hear_ends(accounts)
    issued, other = await accounts.register("zoe", PASSWORD), await accounts.login("zoe", PASSWORD)
    await accounts.logout(who(accounts, issued))

    assert (is_known(accounts, issued), is_known(accounts, other)) == (False, True)
    with pytest.raises(UnknownSession):
        await accounts.refresh(issued.refresh_token)
    assert heard == [(int(issued.user_id), int(issued.device_id), "logged_out")]


async def test_devices_are_listed_and_one_of_ones_own_can_be_ended(accounts: Accounts) -> None:
    laptop = await accounts.register("zoe", PASSWORD, device="laptop")
    phone = await accounts.login("zoe", PASSWORD, device="phone")
    listed = msgspec.json.decode(await accounts.devices(who(accounts, laptop)))["devices"]
    assert {(each["label"], each["is_this"]) for each in listed} == {("laptop", True), ("phone", False)}

    await accounts.end_device(who(accounts, laptop), int(phone.device_id))

    assert (is_known(accounts, laptop), is_known(accounts, phone)) == (True, False)


async def test_nobody_ends_or_sees_the_device_of_another(accounts: Accounts) -> None:
    zoe, max_ = await accounts.register("zoe", PASSWORD), await accounts.register("max", PASSWORD)
    with pytest.raises(NotFound):
        await accounts.end_device(who(accounts, max_), int(zoe.device_id))

    assert is_known(accounts, zoe)
    listed = msgspec.json.decode(await accounts.devices(who(accounts, max_)))["devices"]
    assert [each["id"] for each in listed] == [max_.device_id]


async def test_a_device_too_many_ends_the_one_that_was_silent_for_longest(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with opened(tmp_path, clock, max_devices_per_user=2) as accounts:
        heard = hear_ends(accounts)
        first = await accounts.register("zoe", PASSWORD)
        clock.advance(1)
        second = await accounts.login("zoe", PASSWORD)
        clock.advance(1)
        first = await accounts.refresh(first.refresh_token)
        clock.set_by(-60)  # a clock that was set back does not end the newest
        third = await accounts.login("zoe", PASSWORD)

        assert [is_known(accounts, each) for each in (first, second, third)] == [True, False, True]
        assert [each.why for each in heard] == ["too_many_devices"]


async def test_a_full_server_lets_nobody_in_until_a_session_expires(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with opened(tmp_path, clock, max_session_count=2) as accounts:
        old = await accounts.register("zoe", PASSWORD)
        clock.advance(20 * 24 * HOUR_S)
        await accounts.register("max", PASSWORD)
        with pytest.raises(LimitReached):
            await accounts.login("zoe", PASSWORD)

        clock.advance(11 * 24 * HOUR_S)
        assert is_known(accounts, await accounts.login("zoe", PASSWORD))
        with pytest.raises(UnknownSession):
            await accounts.refresh(old.refresh_token)


async def test_another_password_ends_all_other_sessions(accounts: Accounts) -> None:
    heard = hear_ends(accounts)
    here, there = await accounts.register("zoe", PASSWORD), await accounts.login("zoe", PASSWORD)
    await accounts.change_password(who(accounts, here), PASSWORD, "another password")

    assert (is_known(accounts, here), is_known(accounts, there)) == (True, False)
    with pytest.raises(UnknownSession):
        await accounts.refresh(there.refresh_token)
    with pytest.raises(WrongPassword):
        await accounts.login("zoe", PASSWORD)
    assert is_known(accounts, await accounts.login("zoe", "another password"))
    assert heard == [(int(there.user_id), int(there.device_id), "password_changed")]


async def test_without_the_present_password_there_is_no_other(accounts: Accounts) -> None:
    here, there = await accounts.register("zoe", PASSWORD), await accounts.login("zoe", PASSWORD)
    with pytest.raises(WrongPassword):
        await accounts.change_password(who(accounts, here), "wrong password", "another password")

    assert is_known(accounts, there)
    assert is_known(accounts, await accounts.login("zoe", PASSWORD))


async def test_of_two_changes_of_a_password_at_once_one_counts(accounts: Accounts) -> None:
    here, there = await accounts.register("zoe", PASSWORD), await accounts.login("zoe", PASSWORD)
    outcomes: dict[str, str] = {}

    async def change(issued: Session, new: str) -> None:
        try:
            await accounts.change_password(issued, PASSWORD, new)
        except WrongPassword:
            outcomes[new] = "refused"
        else:
            outcomes[new] = "changed"

    async with anyio.create_task_group() as tasks:
        for issued, new in ((here, "new password one"), (there, "new password two")):
            tasks.start_soon(change, who(accounts, issued), new)

    assert sorted(outcomes.values()) == ["changed", "refused"]
    (counts,) = (new for new, outcome in outcomes.items() if outcome == "changed")
    assert is_known(accounts, await accounts.login("zoe", counts))


async def test_a_login_that_meets_a_new_password_does_not_leave_a_session_behind(accounts: Accounts) -> None:
    """Many logins with the old password run into the change of it: each is refused, or its session is ended."""
    here = await accounts.register("zoe", PASSWORD)
    got: list[IssuedSession] = []

    async def login() -> None:
        try:
            got.append(await accounts.login("zoe", PASSWORD))
        except WrongPassword:
            return

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(login)
        tasks.start_soon(accounts.change_password, who(accounts, here), PASSWORD, "another password")
        for _ in range(4):
            tasks.start_soon(login)

    assert is_known(accounts, here)
    assert not any(is_known(accounts, each) for each in got)


async def test_a_disabled_user_is_out_at_once_and_stays_out(accounts: Accounts) -> None:
    heard = hear_ends(accounts)
    issued = await accounts.register("zoe", PASSWORD)
    await accounts.users.set_disabled("zoe", is_disabled=True)

    assert not is_known(accounts, issued)
    with pytest.raises(UnknownSession):
        await accounts.refresh(issued.refresh_token)
    with pytest.raises(WrongPassword):
        await accounts.login("zoe", "wrong password")
    with pytest.raises(NotPermitted, match="disabled"):
        await accounts.login("zoe", PASSWORD)
    assert [each.why for each in heard] == ["user_disabled"]

    await accounts.users.set_disabled("zoe", is_disabled=False)
    assert is_known(accounts, await accounts.login("zoe", PASSWORD))


async def test_a_request_that_was_cancelled_leaves_no_session_that_has_ended(accounts: Accounts) -> None:
    """Whoever asks to be logged out and leaves at any moment is logged out, or is not; nothing between."""
    for turns in range(12):
        issued = await accounts.register(f"some-{turns}", PASSWORD)
        session = who(accounts, issued)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(accounts.logout, session)
            for _ in range(turns):
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        listed = await accounts._tables.all("held_devices", int(issued.device_id) - 1, 0, 1)
        assert bool(listed) == is_known(accounts, issued)


async def test_a_role_on_the_server_counts_at_once_and_nobody_gets_one_by_registering(
    accounts: Accounts,
) -> None:
    issued = await accounts.register("zoe", PASSWORD)
    assert who(accounts, issued).server_role is None
    await accounts.users.set_role("zoe", "admin")
    assert who(accounts, issued).server_role == "admin"
    assert (await accounts.login("zoe", PASSWORD)).server_role == "admin"
    await accounts.users.set_role("zoe", None)
    assert who(accounts, issued).server_role is None
    with pytest.raises(InvalidValue):
        await accounts.users.set_role("zoe", "root")


async def test_who_runs_the_server_makes_lists_and_helps_users(accounts: Accounts) -> None:
    await accounts.users.create("zoe", PASSWORD, server_role="read", display_name="Zoë")
    issued = await accounts.login("zoe", PASSWORD)
    await accounts.users.set_password("zoe", "another password")

    assert not is_known(accounts, issued)
    assert is_known(accounts, await accounts.login("zoe", "another password"))
    rows = await accounts.users.listed()
    assert [row.name for row in rows] == ["ann", "bob", "eve", "zoe"]
    assert (rows[-1].display_name, rows[-1].server_role, rows[-1].device_count) == ("Zoë", "read", 1)
    assert [row.name for row in await accounts.users.listed(after="bob", limit=1)] == ["eve"]


async def test_what_is_to_be_done_to_nobody_is_refused(accounts: Accounts) -> None:
    for name in ("nobody", "", *HOSTILE):
        with pytest.raises(NotFound):
            await accounts.users.set_disabled(name, is_disabled=True)
        with pytest.raises(NotFound):
            await accounts.users.set_password(name, PASSWORD)
        with pytest.raises(NotFound):
            await accounts.users.set_role(name, "admin")


async def test_a_closed_server_registers_nobody(tmp_path: Path, clock: ManualClock) -> None:
    async with opened(tmp_path, clock, is_registration_open=False) as accounts:
        with pytest.raises(NotPermitted):
            await accounts.register("zoe", PASSWORD)
        await accounts.users.create("zoe", PASSWORD)
        assert is_known(accounts, await accounts.login("zoe", PASSWORD))


async def test_too_many_wrong_passwords_for_a_name_have_to_wait(
    accounts: Accounts, clock: ManualClock
) -> None:
    await accounts.register("zoe", PASSWORD)
    for _ in range(10):
        with pytest.raises(WrongPassword):
            await accounts.login("zoe", "wrong password")
    with pytest.raises(TooOften) as refused:
        await accounts.login("ZOE", PASSWORD)
    assert 0 < refused.value.details["retry_after_s"] <= 6

    clock.advance(6)
    assert is_known(accounts, await accounts.login("zoe", PASSWORD))


async def test_right_passwords_are_not_counted(accounts: Accounts) -> None:
    await accounts.register("zoe", PASSWORD)
    for _ in range(15):
        await accounts.login("zoe", PASSWORD)


async def test_too_many_attempts_from_an_address_have_to_wait_whatever_the_names(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with opened(tmp_path, clock, login_attempts_per_minute=1) as accounts:
        for number in range(10):
            with pytest.raises(WrongPassword):
                await accounts.login(f"name-{number}", PASSWORD, address="192.0.2.1")
        with pytest.raises(TooOften):
            await accounts.login("another", PASSWORD, address="192.0.2.1")
        with pytest.raises(TooOften):
            await accounts.register("another", PASSWORD, address="192.0.2.1")
        await accounts.register("another", PASSWORD, address="192.0.2.2")


async def test_passwords_wait_in_a_queue_that_has_an_end(accounts: Accounts) -> None:
    outcomes: list[str] = []

    async def login(number: int) -> None:
        try:
            await accounts.login(f"name-{number}", PASSWORD)
        except TooOften:
            outcomes.append("too often")
        except WrongPassword:
            outcomes.append("wrong")

    async with anyio.create_task_group() as tasks:
        for number in range(60):
            tasks.start_soon(login, number)

    assert outcomes.count("wrong") >= 32
    assert outcomes.count("too often") > 0


async def test_a_user_who_sends_too_much_has_to_wait_and_nobody_else(
    tmp_path: Path, clock: ManualClock
) -> None:
    paced = replace(CHEAP_ACCOUNTS, sends_per_s=1, send_burst_count=3)
    async with open_bench(tmp_path / "chat.db", clock=clock, accounts=paced) as bench:
        for _ in range(3):
            await bench.send()
        with pytest.raises(TooOften) as refused:
            await bench.send(client_id="late")
        assert refused.value.details["retry_after_s"] == pytest.approx(1)
        await bench.send(sender=bench.bob)
        clock.advance(1)
        await bench.send(client_id="late")

        assert len(await bench.messages()) == 5


async def test_texts_are_kept_as_they_are(accounts: Accounts) -> None:
    for number, text in enumerate(HOSTILE):
        name = f"zoe-{number}"
        issued = await accounts.register(name, text + PASSWORD, device=text, display_name=text)
        listed = msgspec.json.decode(await accounts.devices(who(accounts, issued)))["devices"]

        assert [each["label"] for each in listed] == [text]
        assert (await accounts.users.listed())[-1].display_name == text
        assert is_known(accounts, await accounts.login(name, text + PASSWORD))


async def test_nothing_is_held_of_sessions_that_have_ended(accounts: Accounts) -> None:
    issued = await accounts.register("zoe", PASSWORD)
    for _ in range(20):
        await accounts.logout(who(accounts, await accounts.login("zoe", PASSWORD)))

    assert len(accounts._devices._book) == 1
    assert len(accounts._devices._turns) == 0
    assert is_known(accounts, issued)


class LosingTables(Tables):
    """Tables whose next write of several statements is done, and its answer lost."""

    loses = False

    @override
    async def write_all(self, steps: Sequence[Step]) -> list[Written]:
        written = await super().write_all(steps)
        if self.loses:
            self.loses = False
            raise WriteOutcomeUnknown("the answer was lost")
        return written


async def test_an_end_whose_answer_was_lost_lets_nobody_in_by_an_old_token(accounts: Accounts) -> None:
    tables = LosingTables(accounts._tables._database, accounts._tables._statements)
    accounts._devices._tables = tables
    ended, other = await accounts.register("zoe", PASSWORD), await accounts.login("zoe", PASSWORD)
    tables.loses = True
    with pytest.raises(WriteOutcomeUnknown):
        await accounts.end_device(who(accounts, other), int(ended.device_id))

    assert not is_known(accounts, ended)
    with pytest.raises(UnknownSession):
        await accounts.refresh(ended.refresh_token)
    assert is_known(accounts, await accounts.refresh(other.refresh_token))


async def test_a_refresh_and_an_end_at_once_leave_no_session_behind(accounts: Accounts) -> None:
    for number in range(10):
        issued = await accounts.register(f"zoe-{number}", PASSWORD)
        session, got = who(accounts, issued), [issued]

        async def refresh(token: str = issued.refresh_token, got: list[IssuedSession] = got) -> None:
            try:
                got.append(await accounts.refresh(token))
            except UnknownSession:
                return

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refresh)
            tasks.start_soon(accounts.logout, session)
            tasks.start_soon(refresh)

        assert not any(is_known(accounts, each) for each in got)
    assert len(accounts._devices._book) == 0


async def test_a_password_that_was_checked_before_it_changed_begins_no_session(
    bench: ChatBench, accounts: Accounts
) -> None:
    with pytest.raises(WrongPassword):
        await accounts._devices.begin(
            bench.ann, "the hash of yesterday", name="ann", server_role=None, label=""
        )
    assert len(accounts._devices._book) == 0


async def test_what_has_no_room_in_memory_at_start_can_come_back_when_there_is(
    tmp_path: Path, clock: ManualClock
) -> None:
    async with open_bench(tmp_path / "chat.db", clock=clock) as bench:
        issued = [await bench.chat.accounts.register(name, PASSWORD) for name in ("zoe", "max")]
    async with open_again(tmp_path, clock, max_session_count=1) as accounts:
        assert [is_known(accounts, each) for each in issued] == [True, False]
        with pytest.raises(LimitReached):
            await accounts.refresh(issued[1].refresh_token)
        await accounts.logout(who(accounts, issued[0]))
        assert is_known(accounts, await accounts.refresh(issued[1].refresh_token))


async def test_the_id_of_a_device_is_never_given_again(accounts: Accounts) -> None:
    issued = await accounts.register("zoe", PASSWORD)
    await accounts.logout(who(accounts, issued))

    assert int((await accounts.login("zoe", PASSWORD)).device_id) > int(issued.device_id)
