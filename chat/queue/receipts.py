"""What a caller gets for an action that was enqueued, and who waits for its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from chat.errors import ActionCancelled, ActionExpired, ActionFailed, NotDelivered
from chat.queue.states import State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from chat.errors import Failure
    from chat.queue.tickets import Ticket

_ENDS: dict[State, type[NotDelivered]] = {
    State.FAILED: ActionFailed,
    State.EXPIRED: ActionExpired,
    State.CANCELLED: ActionCancelled,
}


class Receipt:
    """An action that was given to the queue."""

    __slots__ = ("_ends", "_look_up", "_ticket", "client_id")

    def __init__(
        self,
        client_id: str,
        ticket: Ticket,
        ends: Ends,
        look_up: Callable[[Sequence[str]], Awaitable[None]],
    ) -> None:
        self.client_id = client_id
        """What names the action everywhere."""
        self._ticket = ticket
        self._ends = ends
        self._look_up = look_up

    async def durable(self) -> None:
        """Return when the action is on the disk; cancelled, it is stored none the less.

        Raises:
            QueueFull: Nothing was stored; try again when some actions are done.
            ClientIdConflict: The client id belongs to another action; nothing was stored.
            QueueClosed: The queue closed before anybody knew that it was stored.
            StorageError: The disk failed; nothing was stored, or (`WriteOutcomeUnknown`) nobody knows. Giving it again
                with the same client id is safe, here and above.
        """
        await self._ticket.durable()

    @property
    def was_there(self) -> bool:
        """Whether, once `durable` returned, it is known that this very action had been stored before."""
        return self._ticket.was_there

    async def sent(self) -> Any:
        """Return the server's answer when the action is done, or the one that carries it.

        Raises:
            ActionFailed: It was given up; `failure` says why, and `retry` tries it again.
            ActionExpired: It had become pointless.
            ActionCancelled: It was taken back.
            ActionNotFound: It ended long ago and was cleared away, so nobody knows how.
            QueueClosed: The queue closed first; the action is still in it.
            ChatError: As `durable`.
        """
        with self._ends.waiting_for(self.client_id) as end:
            was_written = self._ticket.is_written  # before anybody listened for its end, that is
            await self._ticket.durable()
            if was_written or self._ticket.was_there:
                await self._look_up([self.client_id])
            answer = await end.result()
        while end.carried_by is not None:
            with self._ends.waiting_for(end.carried_by) as end:
                await self._look_up([end.client_id])
                answer = await end.result()
        return answer


class End:
    """The end of one action, while somebody waits for it."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        self.carried_by: str | None = None
        """Once it is known: the action that carries this one, whose end is the one that counts."""
        self._known = anyio.Event()
        self._result: Any = None
        self._error: Exception | None = None

    @property
    def is_known(self) -> bool:
        """It has come."""
        return self._known.is_set()

    async def result(self) -> Any:
        """Return the server's answer, or raise how it ended otherwise."""
        await self._known.wait()
        if self._error is not None:
            raise self._error
        return self._result

    def came(self, state: State, *, result: Any, failure: Failure | None, carried_by: str | None) -> None:
        """Let those who wait go on."""
        self.carried_by = carried_by
        if state is State.DONE:
            self._result = result
        elif carried_by is None:
            self._error = _ENDS[state](self.client_id, failure)
        self._known.set()

    def broke(self, error: Exception) -> None:
        """Let those who wait go on with `error`, unless it is known."""
        if not self._known.is_set():
            self._error = error
            self._known.set()


class _Wait:
    def __init__(self, ends: Ends, client_id: str) -> None:
        self._ends = ends
        self._client_id = client_id

    def __enter__(self) -> End:
        waited = self._ends.waited
        end, count = waited.get(self._client_id, (None, 0))
        if end is None or end.is_known:
            end, count = End(self._client_id), 0
        waited[self._client_id] = (end, count + 1)
        self._end = end
        return end

    def __exit__(self, *_: object) -> None:
        waited = self._ends.waited
        end, count = waited.get(self._client_id, (None, 0))
        if end is self._end:
            if count > 1:
                waited[self._client_id] = (end, count - 1)
            else:
                del waited[self._client_id]


class Ends:
    """The ends that somebody waits for; there is an entry for as long as somebody does."""

    def __init__(self) -> None:
        self.waited: dict[str, tuple[End, int]] = {}

    def waiting_for(self, client_id: str) -> _Wait:
        """Return a context in which the end of `client_id` is waited for."""
        return _Wait(self, client_id)

    def open_ids(self) -> list[str]:
        """Return the actions whose end is waited for and has not come."""
        return [client_id for client_id, (end, _) in self.waited.items() if not end.is_known]

    def came(
        self,
        client_id: str,
        state: State,
        *,
        result: Any = None,
        failure: Failure | None = None,
        carried_by: str | None = None,
    ) -> None:
        """Tell those who wait for `client_id`, if anybody does, how it ended."""
        found = self.waited.get(client_id)
        if found is not None:
            found[0].came(state, result=result, failure=failure, carried_by=carried_by)

    def broke(self, client_ids: Iterable[str], error: Exception) -> None:
        """Let those who wait for `client_ids` go on with `error`."""
        for client_id in client_ids:
            found = self.waited.get(client_id)
            if found is not None:
                found[0].broke(error)
