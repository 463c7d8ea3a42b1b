"""The user's actions that are under way: shown at once, written into the cache when done, shown no longer when given up."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

import anyio
import structlog
from msgspec.structs import replace

from chat.client.effects import OnMessage, OnSpace, Pending, message_with, new_message, space_with
from chat.client.events import ActionDone, ActionRolledBack, SettingsConflict, SpaceConflict
from chat.errors import ActionNotFound, ClientIdConflict, QueueError
from chat.messages.events import SessionExpired
from chat.queue import payloads
from chat.queue.clock import Wake
from chat.queue.events import CLIENT_ID_CONFLICT, REFUSED, SESSION_EXPIRED
from chat.queue.states import WAITING, State
from chat.sync.merge import FieldConflict
from storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec

    from chat.client.cache import Cache
    from chat.client.events import ClientEvent
    from chat.client.profiles import Profiles
    from chat.queue.action_queue import ActionQueue
    from chat.queue.events import Event
    from chat.queue.receipts import Receipt

_log: structlog.stdlib.BoundLogger = structlog.get_logger("chat")

_OPEN: Final = (*sorted(WAITING), State.CALLING, State.UNCERTAIN)
_PAGE_COUNT: Final = 500
_ENDS: Final = frozenset({State.FAILED, State.EXPIRED, State.CANCELLED, REFUSED})


class UnderWay:
    """Follows the queue of one store."""

    def __init__(
        self,
        queue: ActionQueue,
        cache: Cache,
        profiles: Profiles,
        *,
        me: Callable[[], str],
        tell: Callable[[ClientEvent], None],
    ) -> None:
        self._queue = queue
        self._cache = cache
        self._profiles = profiles
        self._me = me
        self._tell = tell
        self._seen = 0
        self._actions: dict[str, Pending] = {}
        self._unchecked: deque[tuple[Receipt, msgspec.Struct]] = deque()
        self._checking = Wake()

    async def load(self) -> None:
        """Read what is under way; to be done before anything is given to the queue."""
        self._seen = await self._queue.newest_event()
        found: list[tuple[int, Pending]] = []
        for state in _OPEN:
            place = 0
            while page := await self._queue.some(state=state, after=place, count=_PAGE_COUNT):
                place = page[-1].place
                found += [
                    (view.place, _pending(view.client_id, view.type, view.payload, view.created_at_ms))
                    for view in page
                    if view.payload is not None
                ]
        self._actions = {action.client_id: action for _, action in sorted(found, key=lambda each: each[0])}

    @property
    def actions(self) -> list[Pending]:
        """What is under way, in the order in which it was given."""
        return list(self._actions.values())

    def add(self, client_id: str, name: str, payload: msgspec.Struct, at_ms: int) -> None:
        """Show an action from now on."""
        self._actions.setdefault(client_id, _pending(client_id, name, payload, at_ms))

    def check(self, receipt: Receipt, payload: msgspec.Struct) -> None:
        """Show an action no longer if it turns out that its client id was used before: nothing will be told of it."""
        self._unchecked.append((receipt, payload))
        self._checking.set()

    async def run(self) -> None:
        """Follow the queue until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._check)
            await self._follow()

    async def _check(self) -> None:
        while True:
            await self._checking.wait()
            self._checking.clear()
            while self._unchecked:
                receipt, payload = self._unchecked.popleft()
                was_used = await _was_used(receipt)
                shown = self._actions.get(receipt.client_id)
                if was_used and shown is not None and shown.payload is payload:
                    del self._actions[receipt.client_id]

    async def _follow(self) -> None:
        async for event in self._queue.follow_events(self._seen):
            if event.kind == SESSION_EXPIRED:
                self._tell(SessionExpired(account=event.account or "", at=event.at_ms / 1000))
            elif event.client_id is not None and event.type is not None:
                try:
                    await self._heed(event, event.client_id, event.type)
                except StorageError as error:  # its effect comes with the server's own event
                    _log.warning(
                        "chat.effect_not_kept", client_id=event.client_id, reason=type(error).__name__
                    )

    async def _heed(self, event: Event, client_id: str, name: str) -> None:
        if event.kind == State.DONE:
            action = self._actions.get(client_id)
            if action is not None:
                try:
                    await self._confirm(action, event.result)
                finally:
                    self._actions.pop(client_id, None)
            self._tell(ActionDone(client_id=client_id, type=name, result=event.result))
            for each in _conflicts(event.result):
                if action is not None and isinstance(action.payload, payloads.UpdateSpace):
                    self._tell(SpaceConflict(space_id=action.payload.space_id, conflict=each))
                else:
                    self._tell(SettingsConflict(conflict=each))
        elif event.failure is not None and event.failure.code == CLIENT_ID_CONFLICT:
            return  # another action of that id is there, and this must not tell of it
        elif event.kind in _ENDS:
            was_shown = self._actions.pop(client_id, None) is not None
            if event.carried_by is not None:
                await self._refresh(event.carried_by)
            elif was_shown:
                self._tell(
                    ActionRolledBack(client_id=client_id, type=name, state=event.kind, failure=event.failure)
                )
        elif event.payload is not None:
            self.add(client_id, name, event.payload, event.at_ms)

    async def _refresh(self, client_id: str) -> None:
        """Show the action that took another one up as it is now."""
        action = self._actions.get(client_id)
        if action is None:
            return
        try:
            payload = (await self._queue.find(client_id)).payload
        except ActionNotFound:
            return
        if payload is not None and client_id in self._actions:
            self._actions[client_id] = replace(action, payload=payload)

    async def _confirm(self, action: Pending, result: Any) -> None:
        """Write down what the server has done; its own event will say the same."""
        payload, me = action.payload, self._me()
        if isinstance(payload, payloads.SendMessage):
            if isinstance(result, dict) and "seq" in result:
                known = await self._cache.message(payload.room_id, result["id"], me)
                message = new_message(payload, action, me)
                sent = replace(message, id=result["id"], seq=result["seq"], state="sent")
                await self._cache.save_messages(payload.room_id, [known or sent])
        elif isinstance(payload, OnMessage):
            found = await self._cache.message(payload.room_id, payload.message_id, me)
            if found is not None:
                changed = message_with(found, payload, me, action.at_ms)
                await self._cache.save_messages(payload.room_id, [changed])
        elif isinstance(payload, OnSpace):
            if isinstance(payload, payloads.UpdateSpace):
                lost = {each.name for each in _conflicts(result) if each.was_mine}
                kept = {name: value for name, value in payload.fields.items() if name not in lost}
                payload = replace(payload, fields=kept)
            space = await self._cache.space(payload.space_id)
            await self._cache.save_space(space_with(space, payload, me))
        elif isinstance(payload, payloads.UpdateProfile):
            await self._profiles.took(payload.fields)


async def _was_used(receipt: Receipt) -> bool:
    """Return whether the client id of an action that was given is that of an earlier one."""
    try:
        await receipt.durable()
    except ClientIdConflict:
        return True
    except (QueueError, StorageError):  # it was not stored, which the queue tells
        return False
    return receipt.was_there


def _pending(client_id: str, name: str, payload: Any, at_ms: int) -> Pending:
    return Pending(client_id=client_id, type=name, payload=payload, at_ms=at_ms)


def _conflicts(result: Any) -> list[FieldConflict]:
    found = result.get("conflicts", []) if isinstance(result, dict) else []
    return [FieldConflict(**each) for each in found]
