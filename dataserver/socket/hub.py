"""All clients and the streams they follow: each committed event is made a frame once, and given to those who follow it.

It hears the chat's feed, so everybody is told in the order of the commits and only of what is on disk. Nothing here
waits: a client is given frames to its outbox, which has a bound. Who is no member of a space any more is told nothing
that came after: the event that says so ends what they follow there, before the next event is given out.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Final

import msgspec

from dataserver.refusals import ServerDraining, TooManyConnections
from dataserver.socket.endings import DRAINING, SESSION_ENDED
from dataserver.socket.ephemera import MAX_AUDIENCE_COUNT, Presence, Typing
from dataserver.socket.flushes import Flushes
from dataserver.socket.following import Follow
from dataserver.socket.frames import event_frame, notice_frame

if TYPE_CHECKING:
    from chat import FedEvent, Session
    from dataserver.socket.frames import Frame
    from dataserver.socket.limits import SocketLimits
    from dataserver.socket.subscriber import Subscriber

MAX_READING_COUNT: Final = 64
"""Subscriptions that ask the database at once. When all clients come back together, the others wait their turn here,
instead of being refused by a full queue, and leave room in it for everybody else."""
TELL_EVERY_S: Final = 0.25
"""Over what time typing and presence are gathered."""
_LEAVING: Final = frozenset({"member.left", "member.kicked"})
_SPACE_GONE: Final = "space.deleted"


class _Left(msgspec.Struct):
    user: str


class _LeftEvent(msgspec.Struct):
    body: _Left


_left_event: Final = msgspec.json.Decoder(_LeftEvent)


class Hub:
    """Gives events to those who follow their streams."""

    def __init__(self, limits: SocketLimits) -> None:
        self.limits = limits
        self._followers: dict[int, dict[Follow, Subscriber]] = {}
        self._all: set[Subscriber] = set()
        self._by_user: dict[int, set[Subscriber]] = {}
        self._emptied: asyncio.Future[None] | None = None
        self._typing = Typing()
        self._presence = Presence()
        self._timer: asyncio.TimerHandle | None = None
        self._random = random.Random()  # noqa: S311 - spreads what returns, keeps no secret
        self.reading = asyncio.Semaphore(MAX_READING_COUNT)
        self.is_draining = False
        self.delivered_count = 0
        """Events given to a client."""
        self.flushes = Flushes()
        self.written_bytes = 0
        """Bytes sent by the tasks of clients, beside those of `flushes`."""
        self.ended_counts: dict[str, int] = {}
        """Clients that the server ended, by the name of the ending."""

    def hear(self, event: FedEvent) -> None:
        """Give an event to those who follow its stream."""
        followers = self._followers.get(event.stream_id)
        if followers is not None:
            frame = event_frame(event.json, event.position)
            seq = event.seq
            for follow in followers:
                follow.hear(seq, frame)
            self.delivered_count += len(followers)
        if event.kind in _LEAVING:
            self._leave_space(int(_left_event.decode(event.json).body.user), event.stream_id)
        elif event.kind == _SPACE_GONE:
            for user_id in self._by_user:
                self._leave_space(user_id, event.stream_id)

    @property
    def sent_bytes(self) -> int:
        """How many bytes were sent to clients."""
        return self.written_bytes + self.flushes.sent_bytes

    @property
    def open_count(self) -> int:
        """How many clients are connected."""
        return len(self._all)

    def arrive(self, subscriber: Subscriber) -> None:
        """Take in a client.

        Raises:
            ServerDraining: The server stops.
            TooManyConnections: There are as many as there may be.
        """
        if self.is_draining:
            raise ServerDraining("the server is stopping: connect again in a moment")
        if len(self._all) >= self.limits.max_connections:
            raise TooManyConnections(f"{self.limits.max_connections} connections are open already")
        self._all.add(subscriber)

    def enter(self, subscriber: Subscriber, session: Session) -> bool:
        """Take note of who a client is, and return whether its user may have one more."""
        others = self._by_user.setdefault(session.user_id, set())
        if len(others) >= self.limits.max_connections_per_user:
            return False
        subscriber.session = session
        others.add(subscriber)
        return True

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a client that is gone; once more does nothing."""
        if subscriber not in self._all:
            return
        self._all.discard(subscriber)
        if subscriber.ending is not None:
            name = subscriber.ending.name
            self.ended_counts[name] = self.ended_counts.get(name, 0) + 1
        for stream_id in list(subscriber.follows):
            self.unfollow(subscriber, stream_id)
        session = subscriber.session
        if session is not None:
            others = self._by_user[session.user_id]
            others.discard(subscriber)
            if not others:
                del self._by_user[session.user_id]
        if not self._all and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)

    def follow(self, subscriber: Subscriber, stream_id: int) -> Follow:
        """Have a client listen to a stream; what it hears is held until it goes live. Once more begins anew."""
        self.unfollow(subscriber, stream_id)
        follow = Follow(stream_id, subscriber.push)
        subscriber.follows[stream_id] = follow
        self._followers.setdefault(stream_id, {})[follow] = subscriber
        return follow

    def unfollow(self, subscriber: Subscriber, stream_id: int) -> None:
        """Have a client listen to a stream no more; nothing happens if it does not."""
        follow = subscriber.follows.pop(stream_id, None)
        if follow is None:
            return
        follow.end()
        followers = self._followers.get(stream_id)
        if followers is not None:
            followers.pop(follow, None)
            if not followers:
                del self._followers[stream_id]
        if follow.space_id == stream_id and subscriber.session is not None:
            self._presence.mark(stream_id, subscriber.session.user_id)
            self._tell_soon()

    def present(self, subscriber: Subscriber, space_id: int) -> dict[str, str]:
        """Take note that a client is in a space, and return who else is, with how."""
        if subscriber.session is not None:
            self._presence.mark(space_id, subscriber.session.user_id)
            self._tell_soon()
        return {str(user_id): status for user_id, status in self._presence.told(space_id).items()}

    def set_status(self, subscriber: Subscriber, status: str) -> None:
        """Take note of how a client's user is, and tell it where the client is."""
        subscriber.status = status
        for follow in subscriber.follows.values():
            if follow.space_id == follow.stream_id:
                self.present(subscriber, follow.stream_id)

    def type_in(self, room_id: int, user_id: int) -> None:
        """Tell those who follow a room that a user types there; soon, and not each time."""
        if self._typing.note(room_id, user_id, asyncio.get_running_loop().time()):
            self._tell_soon()

    def end_session(self, user_id: int, device_id: int | None = None) -> None:
        """Close the connections of a user's device, or of all: its session has ended."""
        for subscriber in list(self._by_user.get(user_id, ())):
            session = subscriber.session
            if session is not None and device_id in {None, session.device_id}:
                subscriber.end(SESSION_ENDED)

    def drain(self) -> None:
        """Tell every client when to come back, each another time, and close it."""
        self.is_draining = True
        for subscriber in list(self._all):
            delay_ms = int(self._random.uniform(0, self.limits.resume_spread_s) * 1_000)
            subscriber.push(notice_frame("drain", {"resume_after_ms": delay_ms}))
            subscriber.end(DRAINING)

    async def until_empty(self, limit_s: float) -> None:
        """Wait until all clients are gone, for `limit_s` at most."""
        if self._all:
            self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._emptied,), timeout=limit_s)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _leave_space(self, user_id: int, space_id: int) -> None:
        for subscriber in self._by_user.get(user_id, ()):
            left = []
            for follow in subscriber.follows.values():
                if follow.space_id is None:
                    follow.left_spaces.append(space_id)
                elif follow.space_id == space_id:
                    left.append(follow.stream_id)
            for stream_id in left:
                self.unfollow(subscriber, stream_id)
            if left:
                streams = [str(each) for each in left]
                subscriber.push(notice_frame("ended", {"streams": streams, "reason": "not_a_member"}))

    def _tell_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TELL_EVERY_S, self._tell)

    def _tell(self) -> None:
        self._timer = None
        for room_id, user_ids in self._typing.take(asyncio.get_running_loop().time()).items():
            told = {"room": str(room_id), "users": [str(each) for each in user_ids]}
            self._tell_followers(room_id, notice_frame("typing", told))
        for space_id, statuses in self._presence.take(self._status).items():
            told_statuses = {str(user_id): status for user_id, status in statuses.items()}
            self._tell_followers(
                space_id, notice_frame("presence", {"space": str(space_id), "users": told_statuses})
            )

    def _tell_followers(self, stream_id: int, frame: Frame) -> None:
        followers = self._followers.get(stream_id, {})
        if len(followers) <= MAX_AUDIENCE_COUNT:
            for subscriber in followers.values():
                subscriber.push(frame)

    def _status(self, space_id: int, user_id: int) -> str | None:
        """Return how a user is in a space now: as on the first of their devices that follow it."""
        for subscriber in self._by_user.get(user_id, ()):
            if space_id in subscriber.follows:
                return subscriber.status
        return None
