"""What the book of sessions says agrees with a plain model of it, whatever is done in which order."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chat.domain.sessions import IssuedSession, Session, SessionBook

DEVICES = (1, 2, 3, 4)
HOUR_MS = 3_600_000


def session_of(device_id: int) -> Session:
    return Session(user_id=100 + device_id % 2, device_id=device_id, name=f"user-{device_id % 2}")


def issued_to(device_id: int, token: str) -> IssuedSession:
    return IssuedSession(
        access_token=token,
        refresh_token=token,
        access_expires_at_ms=0,
        user_id="1",
        device_id=str(device_id),
        name="n",
        server_role=None,
    )


class BookMachine(RuleBasedStateMachine):
    """The model: for each device, the tokens that are good, oldest first, and whether the newest was used."""

    def __init__(self) -> None:
        super().__init__()
        self.book = SessionBook()
        self.good: dict[int, list[bytes]] = {}
        self.used: dict[int, bool] = {}
        self.count = 0

    @rule(device_id=st.sampled_from(DEVICES), is_used=st.booleans())
    def put(self, device_id: int, is_used: bool) -> None:
        self.count += 1
        token = b"token-%d" % self.count
        self.book.put(
            session_of(device_id),
            token,
            HOUR_MS,
            is_used=is_used,
            issued=None if is_used else issued_to(device_id, token.decode()),
        )
        kept = self.good.get(device_id, [])
        if not self.used.get(device_id, True):
            kept = kept[:-1]
        self.good[device_id] = [token] if is_used else [*kept[-1:], token]
        self.used[device_id] = is_used

    @rule(device_id=st.sampled_from(DEVICES), which=st.sampled_from((0, -1)))
    def use(self, device_id: int, which: int) -> None:
        tokens = self.good.get(device_id)
        if tokens:
            token = tokens[which]
            found = self.book.find(token, 0)
            assert found is not None
            assert found.device_id == device_id
            if token == tokens[-1]:
                if not self.used[device_id]:
                    self.good[device_id] = [token]
                self.used[device_id] = True

    @rule(device_id=st.sampled_from(DEVICES))
    def confirm(self, device_id: int) -> None:
        self.book.confirm(device_id)
        if device_id in self.good:
            self.good[device_id] = self.good[device_id][-1:]
            self.used[device_id] = True

    @rule(device_id=st.sampled_from(DEVICES))
    def drop(self, device_id: int) -> None:
        self.book.drop(device_id)
        self.good.pop(device_id, None)
        self.used.pop(device_id, None)

    @rule(user_id=st.sampled_from((100, 101)), role=st.sampled_from(("admin", None)))
    def give_role(self, user_id: int, role: str | None) -> None:
        self.book.give_role(user_id, role)
        for device_id in self.book.devices_of(user_id):
            held = self.book._by_device[device_id]
            assert held.session.server_role == role

    @invariant()
    def holds_what_the_model_holds(self) -> None:
        assert set(self.book._by_hash) == {token for tokens in self.good.values() for token in tokens}
        assert len(self.book) == len(self.good)
        for device_id in DEVICES:
            assert (device_id in self.book) == (device_id in self.good)
            assert self.book.is_used(device_id) == self.used.get(device_id, False)
            unused = device_id in self.good and not self.used[device_id]
            issued = self.book.issued(device_id)
            assert (issued is not None) == unused
            assert issued is None or issued.access_token.encode() == self.good[device_id][-1]
        for user_id in (100, 101):
            assert set(self.book.devices_of(user_id)) == {
                each for each in self.good if session_of(each).user_id == user_id
            }


TestBook = BookMachine.TestCase
TestBook.settings = settings(max_examples=40, stateful_step_count=30)


@given(st.integers(0, 2 * HOUR_MS))
def test_a_token_is_good_until_its_time_is_over_be_it_the_newer_or_the_older_one(now_ms: int) -> None:
    book = SessionBook()
    book.put(session_of(1), b"older", HOUR_MS, is_used=True)
    book.put(session_of(1), b"newer", HOUR_MS + 1_000)

    assert (book.find(b"older", now_ms) is not None) == (now_ms < HOUR_MS)
    assert (book.find(b"newer", now_ms) is not None) == (now_ms < HOUR_MS + 1_000)
