"""How a client begins to follow streams: it listens, is answered where they stand, is given what it missed, and is live.

Two questions to the database, however many streams there are: where they stand, and what was missed. More pages are
read as the client takes them away, so what it missed waits on disk and not here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from chat import LimitReached, NotFound, parsed_id
from dataserver.errors import answering, error_body
from dataserver.socket.frames import event_frame, notice_frame
from storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from chat import Chat
    from dataserver.socket.following import Follow
    from dataserver.socket.hub import Hub
    from dataserver.socket.ops import Since
    from dataserver.socket.subscriber import Subscriber

PAGE_COUNT: Final = 100

_log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)


class StreamAnswer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a stream stands, and whether all that the client missed follows."""

    epoch: str
    last_seq: int
    recovered: bool
    """False: read the stream's pages anew; events after `last_seq` come."""
    present: dict[str, str] | None = None
    """Of a space: who is in it now, and how."""


class Subscription:
    """One beginning of one client; answered by `begin`, over when `catch_up` returns."""

    def __init__(self, chat: Chat, hub: Hub, subscriber: Subscriber, user_id: int) -> None:
        self._chat = chat
        self._hub = hub
        self._subscriber = subscriber
        self._user_id = user_id
        self._follows: list[Follow] = []

    async def begin(self, wanted: Mapping[str, Since | None]) -> dict[str, Any]:
        """Listen to streams, and return by stream where it stands, or why the client can't follow it.

        Raises:
            LimitReached: The client would follow too many.
            NotFound: A name can be no stream's.
        """
        streams = {parsed_id(text, "stream"): since for text, since in wanted.items()}
        self.check(streams)
        follows = {each: self._hub.follow(self._subscriber, each) for each in streams}
        try:
            async with self._hub.reading:
                states = await self._chat.streams.states(self._user_id, streams)
        except BaseException:
            self._forget(follows)
            raise
        answers: dict[str, Any] = {}
        catch_up_count = self._hub.limits.max_catch_up_count
        for stream_id, since in streams.items():
            follow, state = follows[stream_id], states.get(stream_id)
            if state is None or follow.is_over or state.space_id in follow.left_spaces:
                self._forget({stream_id: follow})
                answers[str(stream_id)] = _not_found(stream_id)
                continue
            missed_count = -1
            if since is not None and since.epoch == state.epoch:
                missed_count = state.last_seq - since.seq
            recovered = 0 <= missed_count <= catch_up_count
            catch_up_count -= missed_count if recovered else 0
            reached = state.last_seq - missed_count if recovered else state.last_seq
            follow.begin(state.space_id, reached, state.last_seq)
            self._follows.append(follow)
            present = None
            if state.space_id == stream_id:
                present = self._hub.present(self._subscriber, stream_id)
            answers[str(stream_id)] = StreamAnswer(
                epoch=state.epoch, last_seq=state.last_seq, recovered=recovered, present=present
            )
        return answers

    def check(self, stream_ids: Collection[int]) -> None:
        """Let a client pass that may follow these streams beside those it follows already.

        Raises:
            LimitReached: They are too many.
        """
        most = self._hub.limits.max_streams
        if len(self._subscriber.follows.keys() | set(stream_ids)) > most:
            raise LimitReached(f"a connection may follow {most} streams", limit=most)

    async def catch_up(self) -> bool:
        """Give the client what it missed, then go live; return whether that was done.

        If the database can't be read, the client follows none of the streams any more, and is told so.
        """
        try:
            await self._read_missed()
        except StorageError as error:
            _log.info("socket.catch_up_failed", reason=type(error).__name__)
            self._forget({each.stream_id: each for each in self._follows})
            streams = [str(each.stream_id) for each in self._follows]
            self._subscriber.push(notice_frame("ended", {"streams": streams, "reason": "try_again"}))
            return False
        for follow in self._follows:
            follow.go_live()
        return True

    async def _read_missed(self) -> None:
        while behind := {each.stream_id: each for each in self._follows if each.is_behind}:
            after = {stream_id: follow.reached for stream_id, follow in behind.items()}
            async with self._hub.reading:
                events = await self._chat.streams.missed(self._user_id, after, limit=PAGE_COUNT)
            for event in events:
                await self._subscriber.until_half_empty()
                behind[event.stream_id].take_read(event.seq, event_frame(event.json, event.position))
            if not events:  # they are no members any more
                self._forget(behind)

    def _forget(self, follows: Mapping[int, Follow]) -> None:
        for stream_id, follow in follows.items():
            if self._subscriber.follows.get(stream_id) is follow:
                self._hub.unfollow(self._subscriber, stream_id)


def _not_found(stream_id: int) -> Any:
    error = NotFound(f"there is no stream {stream_id}", what="stream")
    return error_body(error, answering(NotFound))
