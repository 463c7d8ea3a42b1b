"""What people and programs do to actions by hand: take back, try again, change, hold, let go.

Nothing here reorders a lane. What is claimed belongs to whoever claimed it: that one is asked, and answers.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from chat.errors import ActionNotFound, InvalidAction, NotPossible
from chat.queue.states import State
from chat.queue.tables import STATES

if TYPE_CHECKING:
    import msgspec

    from chat.queue.clock import QueueClock
    from chat.queue.packing import Packing
    from chat.queue.tables import Tables
    from chat.queue.views import Views

_TOO_LATE = 2


class Cancelled(StrEnum):
    """What came of taking an action back."""

    CANCELLED = "cancelled"
    TOO_LATE = "too_late"
    """The server has it."""
    WILL_REDACT = "will_redact"
    """The server has it or is getting it; its deletion is queued."""


class Control:
    """Changes actions and lanes of one queue."""

    def __init__(self, tables: Tables, views: Views, packing: Packing, clock: QueueClock) -> None:
        self._tables = tables
        self._views = views
        self._packing = packing
        self._clock = clock

    async def cancel(self, client_id: str) -> bool:
        """Take an action back if it is certainly not at the server; else ask whoever has it, and return False.

        Raises:
            ActionNotFound: There is none.
        """
        done = await self._tables.write_all(
            [
                ("cancel", (client_id, self._clock.wall_ms())),
                ("unblock", (client_id, self._clock.boot_ms())),
                ("ask_to_cancel", (client_id,)),
            ]
        )
        if done[0].rows:
            return True
        if not done[2].changes:
            await self._views.state(client_id)
        return False

    async def cancel_answer(self, client_id: str) -> Cancelled | None:
        """Return what came of asking to cancel, None while nobody has answered.

        Raises:
            ActionNotFound: There is none any more.
        """
        rows = await self._tables.read("cancel_answers", (client_id,))
        if not rows:
            raise ActionNotFound(f"there is no action {client_id}")
        state, asked = STATES[rows[0][0]], rows[0][1]
        if state is State.CANCELLED:
            return Cancelled.CANCELLED
        if state.is_final or asked == _TOO_LATE:
            return Cancelled.TOO_LATE
        return None

    async def retry(self, client_id: str) -> None:
        """Try an action again from the beginning, now.

        Raises:
            ActionNotFound: There is none.
            NotPossible: It is done, was taken back, or is being delivered.
        """
        now_ms = self._clock.boot_ms()
        done = await self._tables.write_all(
            [
                ("retry", (client_id, now_ms, self._clock.wall_ms())),
                ("unblock", (client_id, now_ms)),
                ("try_lane_now", (client_id, now_ms)),
            ]
        )
        if not done[0].rows:
            state = await self._views.state(client_id)
            raise NotPossible(f"{client_id} is {state}", state=state)

    async def retry_failed(self, *, account: str | None, type_name: str | None) -> int:
        """Try all failed actions again, or those of an account or a type; return how many they were."""
        count, last_id = 0, 0
        while True:
            failed = await self._tables.read("failed_ids", (account, type_name, last_id))
            if not failed:
                return count
            now_ms, at_ms = self._clock.boot_ms(), self._clock.wall_ms()
            named: list[tuple[str, Any]] = []
            for _, client_id in failed:
                named += [("retry", (client_id, now_ms, at_ms)), ("unblock", (client_id, now_ms))]
            written = await self._tables.write_all(named)
            count += sum(len(each.rows) for each in written[::2])
            last_id = failed[-1][0]

    async def amend(self, client_id: str, payload: msgspec.Struct) -> None:
        """Change the payload of an action that nobody has seen yet.

        Raises:
            ActionNotFound: There is none.
            InvalidAction: The payload is another type's, or belongs to another lane.
            NotPossible: It is being delivered, was tried, or has ended.
        """
        found = await self._views.find(client_id)
        kind = self._packing.types.of(payload)
        if kind.name != found.type or kind.lane_of(payload, found.account) != found.lane:
            raise InvalidAction(f"{client_id} is a {found.type} of the lane {found.lane}, and stays that")
        packed = self._packing.packed(payload, account=found.account, client_id=client_id)
        written = await self._tables.write(
            "amend",
            (client_id, packed.payload, packed.key_id, kind.version, packed.digest, self._clock.wall_ms()),
        )
        if not written.rows:
            state = await self._views.state(client_id)
            raise NotPossible(f"{client_id} is {state}, or was tried before", state=state)

    async def pause_lane(self, key: str) -> None:
        """Let a lane wait until it is resumed.

        Raises:
            ActionNotFound: There is no such lane.
        """
        if not (await self._tables.write("pause_lane", (key,))).rows:
            raise ActionNotFound(f"there is no lane {key}")

    async def resume_lane(self, key: str) -> None:
        """Let a lane go on that was paused; calling again does nothing.

        Raises:
            ActionNotFound: There is no such lane.
        """
        if not (await self._tables.write("resume_lane", (key,))).rows:
            raise ActionNotFound(f"there is no lane {key}")

    async def resume_account(self, account: str) -> None:
        """Let the lanes of an account go on that waited for a login; calling again does nothing."""
        await self._tables.write("resume_account", (account,))

    async def look_for_keys(self) -> None:
        """Have lanes tried now whose first action could not be opened."""
        await self._tables.write("look_for_keys", (self._clock.boot_ms(),))

    async def readmit(self) -> None:
        """Let actions go on that were held because nobody could read them, as far as they can be read now."""
        kinds = list(self._packing.types)
        while kinds:
            now_ms, at_ms = self._clock.boot_ms(), self._clock.wall_ms()
            done = await self._tables.write_all(
                [("readmit", (kind.name, kind.version, now_ms, at_ms)) for kind in kinds]
            )
            kinds = [kind for kind, written in zip(kinds, done, strict=True) if written.changes]
