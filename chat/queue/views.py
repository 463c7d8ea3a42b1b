"""What a queue shows of itself: actions as they stand, why they wait, how many there are. Reads only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from chat.errors import ActionNotFound, Failure
from chat.queue.lanes import BY_LOGIN, BY_USER
from chat.queue.packing import Unreadable, context_of
from chat.queue.states import State
from chat.queue.tables import STATES, failure_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chat.queue.clock import QueueClock
    from chat.queue.connectivity import Contact
    from chat.queue.packing import Packing
    from chat.queue.tables import Tables

MOST_LISTED_COUNT = 1_000


class ActionView(msgspec.Struct, frozen=True, kw_only=True):
    """An action as it stands."""

    place: int
    """Its number in the queue; rises with each action."""
    client_id: str
    type: str
    version: int
    lane: str
    account: str
    state: State
    attempts: int
    """Tries that the server failed."""
    created_at_ms: int
    changed_at_ms: int
    finished_at_ms: int | None
    carried_by: str | None
    """The client id of the action that it was merged into."""
    failure: Failure | None
    """Of the last try."""
    result: Any
    """What its handler returned."""
    payload: Any
    """None when it was wiped, or can't be read here."""


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why an action is where it is."""

    state: State
    text: str
    """One sentence for people."""
    behind: str | None = None
    """The client id of the action that it waits for."""
    ahead_count: int = 0
    """How many are before it in its lane; 1,000 stands for more."""
    wait_ms: int | None = None
    """Until it is tried, where that is known."""


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """How many actions the queue holds."""

    pending: int
    """Queued, waiting to be tried again, or paused."""
    processing: int
    """Called, or called with an outcome that is not known yet."""
    failed: int
    """Failed or expired; kept for some days."""
    completed: int
    """Done; kept for a day."""
    cancelled: int
    total: int


class Views:
    """Reads one queue."""

    def __init__(
        self,
        tables: Tables,
        packing: Packing,
        clock: QueueClock,
        handles: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._tables = tables
        self._packing = packing
        self._clock = clock
        self._handles = handles

    async def find(self, client_id: str) -> ActionView:
        """Return an action.

        Raises:
            ActionNotFound: There is none.
        """
        rows = await self._tables.read("one", (client_id,))
        if not rows:
            raise ActionNotFound(f"there is no action {client_id}")
        return self._view(rows[0])

    async def state(self, client_id: str) -> State:
        """Return the state of an action.

        Raises:
            ActionNotFound: There is none.
        """
        return (await self.find(client_id)).state

    async def some(
        self,
        *,
        state: State | None = None,
        type_name: str | None = None,
        lane: str | None = None,
        account: str | None = None,
        after: int = 0,
        count: int = 100,
    ) -> list[ActionView]:
        """Return up to `count` actions in the order they came, those after the place `after`; fewer if they are large."""
        stored = State.QUEUED if state is State.LEASED else state
        rows = await self._tables.read_some(
            "some", (stored, type_name, lane, account, after), min(count, MOST_LISTED_COUNT)
        )
        return [self._view(row) for row in rows]

    async def statistics(self, type_name: str = "") -> Statistics:
        """Return how many actions there are, of a type or of all, from counters: however many, it costs the same."""
        return counted(dict(await self._tables.read("counters", (type_name,))))

    async def why(self, client_id: str, contact: Contact) -> Why:
        """Return why an action is where it is.

        Raises:
            ActionNotFound: There is none.
        """
        view = await self.find(client_id)
        rows = await self._tables.read("why", (client_id,))
        if view.state.is_final or not rows:
            text = view.failure.text if view.failure else str(view.state)
            return Why(
                state=view.state,
                text=f"it is {view.state}" if text == view.state else f"{view.state}: {text}",
            )
        is_handled = self._handles(view.type)
        return _why(view, _Facts(*rows[0]), contact, self._clock.boot_ms(), is_handled=is_handled)

    def _view(self, row: tuple[Any, ...]) -> ActionView:
        client_id, name, version, lane, _, account, state, attempts, _, created, changed, finished = row[:12]
        _, _, carried_by, error, result, key_id, sealed, place = row[12:]
        return ActionView(
            client_id=client_id,
            type=name,
            version=version,
            lane=lane,
            account=account,
            state=STATES[state],
            attempts=attempts,
            created_at_ms=created,
            changed_at_ms=changed,
            finished_at_ms=finished,
            carried_by=carried_by,
            failure=failure_of(error),
            result=None if result is None else msgspec.json.decode(result),
            payload=self.payload(client_id, name, lane, (version, key_id, sealed)),
            place=place,
        )

    def payload(
        self, client_id: str, name: str, lane: str, stored: tuple[int, str | None, bytes | None]
    ) -> Any:
        """Return a payload stored as `version, key_id, payload`; None if it was wiped or can't be read here."""
        kind = self._packing.types.find(name)
        version, key_id, sealed = stored
        if kind is None or sealed is None:
            return None
        try:
            return self._packing.unpacked(kind, version, key_id, sealed, context_of(client_id, name, lane))
        except Unreadable:
            return None


def counted(counts: Mapping[str, int]) -> Statistics:
    """Return the statistics of how many actions are in each state."""

    def total(*states: State) -> int:
        return sum(counts.get(state, 0) for state in states)

    return Statistics(
        pending=total(State.QUEUED, State.RETRY_WAIT, State.PAUSED),
        processing=total(State.CALLING, State.UNCERTAIN),
        failed=total(State.FAILED, State.EXPIRED),
        completed=total(State.DONE),
        cancelled=total(State.CANCELLED),
        total=sum(count for state, count in counts.items() if state in STATES),
    )


class _Facts(msgspec.Struct, frozen=True):
    lane_due_ms: int | None
    owner: str | None
    paused: int
    in_lane: int
    due_ms: int | None
    ahead_id: str | None
    ahead_type: str | None
    ahead_state: str | None
    ahead_error: str | None
    ahead_count: int
    needed_id: str | None
    needed_type: str | None
    needed_state: str | None
    needed_error: str | None


def _why(  # noqa: PLR0911 - one a reason
    view: ActionView, facts: _Facts, contact: Contact, now_ms: int, *, is_handled: bool
) -> Why:
    def because(text: str, behind: str | None = None, due_ms: int | None = None) -> Why:
        wait_ms = None if due_ms is None else max(0, due_ms - now_ms)
        return Why(state=view.state, text=text, behind=behind, ahead_count=facts.ahead_count, wait_ms=wait_ms)

    if facts.needed_id is not None:
        text = _behind(facts.needed_type, facts.needed_state, facts.needed_error)
        return because(f"it needs {text}", facts.needed_id)
    if facts.paused & BY_LOGIN:
        return because("the account has to log in again")
    if facts.paused & BY_USER:
        return because("its lane is paused")
    if facts.ahead_id is not None:
        text = _behind(facts.ahead_type, facts.ahead_state, facts.ahead_error)
        return because(f"it is behind {text}", facts.ahead_id)
    if view.state is State.LEASED or facts.owner is not None:
        return because("it is being delivered")
    if not facts.in_lane and facts.due_ms is None:
        return because(f"this program can't read it ({view.failure.text if view.failure else 'unknown'})")
    if not contact.may_deliver():
        return because("it waits for a connection")
    if facts.due_ms is not None and not facts.in_lane:
        return because(_waiting("it waits until its time", view), due_ms=facts.due_ms)
    if facts.lane_due_ms is not None and facts.lane_due_ms > now_ms:
        return because(_waiting("it waits", view), due_ms=facts.lane_due_ms)
    return because("it is next" if is_handled else f"nobody here delivers actions of the type {view.type}")


def _waiting(text: str, view: ActionView) -> str:
    return f"{text} to be tried again after {view.failure.text}" if view.failure else text


def _behind(name: str | None, state: str | None, error: str | None) -> str:
    failure = failure_of(error)
    return f"{name}, which is {state}" if failure is None else f"{name}, which is {state}: {failure.text}"
