"""The action queue as a program sees it."""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread

from chat.queue.actions import ActionType, ActionTypes
from chat.queue.clock import SystemQueueClock
from chat.queue.control import Cancelled
from chat.queue.engine import Engine
from chat.queue.handlers import Delivery, Route, Transport
from chat.queue.looking import Looking
from chat.queue.opening import open_tables
from chat.queue.packing import Packing
from chat.queue.payloads import DeleteMessage, SendMessage
from chat.queue.peers import open_peers
from chat.queue.receipts import Receipt
from chat.queue.settings import QueueSettings

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence

    import msgspec

    from chat.queue.clock import QueueClock
    from chat.queue.sealing import Seal


class ActionQueue(Looking):
    """A durable queue of actions; made by `open_queue`, usable until that is left."""

    # -- what is delivered, and how -------------------------------------------------------------------------------

    async def register(self, action_type: ActionType) -> None:
        """Know another type of action; one of the same name is replaced, and what it can now read goes on.

        Raises:
            ValueError: Its payload is another type's.
        """
        self._engine.packing.types.add(action_type)
        await self._engine.control.readmit()
        self._engine.changed()

    def handle(
        self,
        name: str,
        deliver: Callable[[Delivery], Awaitable[Any]],
        *,
        ask: Callable[[Delivery], Awaitable[Any]] | None = None,
        joins: Callable[[Any, Sequence[str]], bool] | None = None,
    ) -> None:
        """Deliver actions of the type `name` by `deliver`; `ask` settles those whose answer was lost.

        One action of a lane is under way at a time, unless `joins` allows more: see `Route`.

        Raises:
            UnknownActionType: There is no such type.
        """
        self._engine.handlers.add(name, Route(deliver, ask, joins))
        self._engine.runner.look()

    def handle_all(self, transport: Transport) -> None:
        """Deliver actions of all types known by now by `transport`."""
        for kind in self._engine.packing.types:
            self._engine.handlers.add(kind.name, Route(transport.deliver, transport.ask))
        self._engine.runner.look()

    # -- giving actions -------------------------------------------------------------------------------------------

    def put(
        self,
        payload: msgspec.Struct,
        *,
        account: str = "",
        client_id: str | None = None,
        delay_s: float | None = None,
        after: Iterable[str] = (),
        max_attempts: int | None = None,
    ) -> Receipt:
        """Take an action by a plain call, in the order of calls; the receipt tells when it is stored, and sent.

        The same client id again is the same action: it is stored once. `delay_s` keeps it out of its lane for a while
        (None: as its type says; 0: it does not wait for more of its kind), and so does `after`, until the actions with
        these client ids are done; those that the queue does not hold count as done.

        Raises:
            UnknownActionType, InvalidAction: Mend the call.
            QueueFull, QueueClosed: It was not taken.
        """
        new = self._engine.packing.packed(
            payload,
            account=account,
            client_id=client_id,
            delay_s=delay_s,
            needs=after,
            max_attempts=max_attempts,
        )
        ticket = self._engine.inbox.put(new, payload)
        return Receipt(new.client_id, ticket, self._engine.ends, self._engine.look_up_stored)

    async def enqueue(
        self,
        payload: msgspec.Struct,
        *,
        account: str = "",
        client_id: str | None = None,
        delay_s: float | None = None,
        after: Iterable[str] = (),
        max_attempts: int | None = None,
    ) -> Receipt:
        """Store an action as `put` takes it; it is on the disk when this returns.

        It will be delivered once, in order, or be failed. Cancelled, this may have stored it all the same.

        Raises:
            UnknownActionType, InvalidAction, ClientIdConflict: Mend the call.
            QueueFull: Nothing was stored; try again when some actions are done.
            QueueClosed, StorageError: It was not stored, or nobody knows; with the same client id it may be given again.
        """
        receipt = self.put(
            payload,
            account=account,
            client_id=client_id,
            delay_s=delay_s,
            after=after,
            max_attempts=max_attempts,
        )
        await receipt.durable()
        return receipt

    async def save_now(
        self, payload: msgspec.Struct, *, account: str = "", client_id: str | None = None
    ) -> Any:
        """Have a change saved without waiting for more of its kind, and return the server's answer.

        For where the user waits for a confirmation: what was changed before and still waits is saved with it. It waits
        as long as it takes (offline, until there is a connection); cancelled, the change is saved all the same.

        Raises:
            UnknownActionType, InvalidAction, ClientIdConflict: Mend the call.
            QueueFull, StorageError: Nothing was stored.
            ActionFailed, ActionExpired, ActionCancelled: It was not saved.
            QueueClosed: The queue closed first.
        """
        return await self.put(payload, account=account, client_id=client_id, delay_s=0.0).sent()

    # -- changing them by hand ------------------------------------------------------------------------------------

    async def cancel(self, client_id: str, *, redact: bool = True) -> Cancelled:
        """Take an action back, and say the truth about it: whoever delivers it answers whether it was in time.

        A message that was in time for nothing else is deleted again, unless `redact` is off. Where the process that
        has the action is frozen, this waits until its claim lapses.

        Raises:
            ActionNotFound: There is none.
        """
        engine = self._engine
        found = await engine.views.find(client_id)
        if await engine.control.cancel(client_id):
            engine.ends_changed([client_id])
            return Cancelled.CANCELLED
        engine.changed()
        answer = await engine.answer_to_cancel(client_id)
        if answer is Cancelled.TOO_LATE and redact and isinstance(found.payload, SendMessage):
            deletion = DeleteMessage(room_id=found.payload.room_id, message_id=client_id)
            await self.enqueue(deletion, account=found.account)
            return Cancelled.WILL_REDACT
        return answer

    async def retry(self, client_id: str) -> None:
        """Try an action again from the beginning, now; it keeps its place.

        Raises:
            ActionNotFound: There is none.
            NotPossible: It is done, was taken back, or is being delivered.
        """
        await self._engine.control.retry(client_id)
        self._engine.changed()

    async def retry_failed(self, *, account: str | None = None, type_name: str | None = None) -> int:
        """Try all failed actions again, or those of an account or a type; return how many they were."""
        count = await self._engine.control.retry_failed(account=account, type_name=type_name)
        self._engine.changed()
        return count

    async def amend(self, client_id: str, payload: msgspec.Struct) -> None:
        """Change the payload of an action that nobody has seen yet; its place stays.

        Raises:
            ActionNotFound: There is none.
            InvalidAction: The payload is another type's, or belongs to another lane.
            NotPossible: It is being delivered, was tried, or has ended.
        """
        await self._engine.control.amend(client_id, payload)
        self._engine.changed()

    async def pause_lane(self, key: str) -> None:
        """Let a lane (`ActionView.lane`) wait until it is resumed; what is claimed of it is still delivered.

        Raises:
            ActionNotFound: There is no such lane.
        """
        await self._engine.control.pause_lane(key)

    async def resume_lane(self, key: str) -> None:
        """Let a lane go on that was paused.

        Raises:
            ActionNotFound: There is no such lane.
        """
        await self._engine.control.resume_lane(key)
        self._engine.changed()

    async def resume_account(self, account: str = "") -> None:
        """Let the lanes of an account go on that waited for a login; nothing of it was lost."""
        await self._engine.resume_account(account)

    def go_offline(self) -> None:
        """Deliver nothing until `go_online`: the caller knows that there is no connection."""
        self._engine.runner.go_offline()

    def go_online(self) -> None:
        """Deliver all that is due, now: the caller knows that there is a connection."""
        self._engine.runner.go_online()

    async def keys_changed(self) -> None:
        """Look at the seal's keys again: go on with what waited for one, seal anew what older ones have sealed.

        Without this it is looked at within a minute.
        """
        await self._engine.keys_changed()

    async def keys_in_use(self) -> dict[str, int]:
        """Return how much in the queue's file is sealed with each key; one that is not named may be retired."""
        return await self._engine.resealing.keys_in_use()


@asynccontextmanager
async def open_queue(
    path: str | os.PathLike[str],
    settings: QueueSettings | None = None,
    *,
    types: ActionTypes | None = None,
    seal: Seal | None = None,
    probe: Callable[[], Awaitable[bool]] | None = None,
    clock: QueueClock | None = None,
    chance: Callable[[], float] = random.random,
    on_step: Callable[[str], None] | None = None,
) -> AsyncIterator[ActionQueue]:
    """Open the queue in the file `path`, making it if it is not there; other processes may have it open too.

    Without contact, `probe` is asked now and then whether there is any; without a probe an action is tried. On leaving,
    calls under way get a while to end (`stop_grace_s`); what is not done by then stays in the file. `on_step` is for
    tests; see `chat.testing`.

    Raises:
        StorageError: The file can't be opened.
    """
    settings = settings or QueueSettings()
    if clock is None:
        clock = await anyio.to_thread.run_sync(SystemQueueClock.of_this_machine)
    async with open_tables(Path(path), settings) as tables, open_peers(Path(path)) as peers:
        engine = Engine(
            tables,
            peers=peers,
            packing=Packing(types or ActionTypes(), clock, seal),
            settings=settings,
            clock=clock,
            chance=chance,
            probe=probe,
            on_step=on_step,
        )
        async with engine.running():
            yield ActionQueue(engine)
