"""Logs from elsewhere in rooms of a space of their own: texts and order as they are, answers linked, times kept.

A line's client id is made of its log's name and its own number, so lines that are there already are passed over, and an
import that was broken off is run again from the start. The authors become users with whose names nobody can log in or
register (they have an `@`). A batch is one transaction of some fifteen statements, whatever the number of its lines; the
triggers that number, tell and index a message that was sent do nothing meanwhile (`importing`).

All lines are taken to be new unless the first is known. If one is there after all, its unique key stops the batch, of which
nothing is kept; those that are new are asked for and tried again.

Figures (2026-11-23, the real log of 236,934 lines, CPU time of command and writer together, beside the way before, with a
trigger a line, on two cores with a load of 4 to 16): 22 to 34 us a line against 33 to 48, 1.4 to 1.5 times cheaper; of that
8 to 12 us is reading and making ready, 1 us of it hashing. Where nothing else ran, the bench saw
39,900 lines/s by the wall and 25 us a line.
"""

from __future__ import annotations

from collections import defaultdict
from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from anyio.lowlevel import checkpoint

from chat.domain.acting import payload_hash, told
from chat.domain.permissions import Rank
from chat.domain.refusals import Gone, InvalidValue, NotFound
from chat.domain.spaces import new_epoch
from chat.domain.texts import MAX_NAME_CHARACTERS, check_text
from storage import ConstraintViolated, Earlier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chat.domain.limits import ChatLimits
    from chat.domain.tables import Step, Tables
    from workers import Clock

MAX_SOURCE_CHARACTERS: Final = 40
MAX_LINES: Final = 5_000
"""In one batch."""
LOG_EVENTS: Final = {"join": "log.joined", "part": "log.left", "nick": "log.renamed"}
"""Told in the room where they happened; who is a member of the space is another matter."""

_MAX_USER_NAME_CHARACTERS: Final = 64
_DIGEST_CHARACTERS: Final = 8
_BYTES_A_CHARACTER: Final = 4
"""At most, in UTF-8."""
_SLICE_LINES: Final = 500
"""So many are made ready, some 2 ms, before the event loop turns."""
_MAX_TRIES: Final = 3
"""Of writing what turned out to be there in part."""


class LogLine(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One line of a log: a message, or that somebody came, went or is called otherwise."""

    number: int
    room: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARACTERS)]
    author: Annotated[str, msgspec.Meta(max_length=200)]
    at_ms: int
    text: str
    answered: int | None = None
    """The number of the line that this one answers."""
    event: Literal["join", "part", "nick"] | None = None
    """None for a message; events have numbers of their own."""


class StoredLines(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch."""

    stored_count: int
    known_count: int
    """Lines that were there already."""


class LogImports:
    """Brings logs in; for those who run the server."""

    def __init__(self, tables: Tables, limits: ChatLimits, clock: Clock) -> None:
        self._tables = tables
        self._limits = limits
        self._clock = clock

    async def open(self, source: str, *, name: str, owner: str | None = None, is_open: bool = False) -> int:
        """Return the id of the space that a log goes into, made if there is none.

        Raises:
            NotFound: There is no user of the name `owner`.
            Gone: The space was deleted.
            InvalidValue: The log's or the space's name breaks its rule.
        """
        _check_source(source)
        check_text(name, "name", MAX_NAME_CHARACTERS)
        known = await self._tables.one("imported_log", source)
        if known is not None:
            return self._there(known)
        now_ms = self._now_ms()
        made = Earlier(0, "id")
        settings = msgspec.json.encode({"name": name, "description": ""}).decode()
        steps: list[Step] = [
            ("new_stream", ("space", new_epoch())),
            ("new_space", (made, "space", settings, is_open, None, now_ms)),
            ("new_log", (source, made)),
        ]
        if owner is not None:
            found = await self._tables.one("user_named", owner, owner.lower())
            if found is None:
                raise NotFound(f"there is no user {owner!r}", what="user")
            owner_id: int = found[0]
            steps += [
                ("new_member", (made, owner_id, Rank.OWNER, now_ms)),
                told(made, "member.joined", owner_id, now_ms, user=str(owner_id), role=Rank.OWNER.role),
                ("tell_of", (owner_id, "space.joined", owner_id, "space", "{}", now_ms, made)),
            ]
        space_id: int = (await self._tables.write_all(steps))[0].rows[0][0]
        return space_id

    async def store(self, source: str, lines: Sequence[LogLine]) -> StoredLines:
        """Add the lines that are not there yet, in their order; they are on disk when this returns.

        Raises:
            NotFound: The log was not opened.
            Gone: Its space was deleted.
            InvalidValue: There are too many lines, or one is too long.
        """
        if len(lines) > MAX_LINES:
            raise InvalidValue(f"{len(lines)} lines; at most {MAX_LINES} are allowed", field="lines")
        known = await self._tables.one("imported_log", source)
        if known is None:
            raise NotFound(f"there is no log {source[:64]!r}", what="log")
        space_id = self._there(known)
        fresh = lines
        if await self._known(source, lines[:1]):
            fresh = await self._unknown(source, lines)
        for tries_left in reversed(range(_MAX_TRIES)):
            try:
                if fresh:
                    coming = _Coming(self._limits.max_content_bytes)
                    for start in range(0, len(fresh), _SLICE_LINES):
                        coming.add(fresh[start : start + _SLICE_LINES])
                        await checkpoint()
                    await self._tables.write_all(self._steps(source, space_id, coming))
                break
            except (
                ConstraintViolated
            ):  # one of them is there, by an import that was broken off or runs beside this
                if not tries_left:
                    raise
                fresh = await self._unknown(source, lines)
        return StoredLines(stored_count=len(fresh), known_count=len(lines) - len(fresh))

    async def _known(self, source: str, lines: Sequence[LogLine]) -> set[int]:
        """Return the places of those that are there already."""
        named = _json([[_client_id(source, line), line.author] for line in lines])
        return {place for (place,) in await self._tables.all("known_lines", source, named)}

    async def _unknown(self, source: str, lines: Sequence[LogLine]) -> list[LogLine]:
        """Return those that are not there yet, each once."""
        known = await self._known(source, lines)
        fresh: dict[tuple[str, str], LogLine] = {}
        for place, line in enumerate(lines):
            if place not in known:
                fresh.setdefault((_client_id(source, line), line.author), line)
        return list(fresh.values())

    def _steps(self, source: str, space_id: int, coming: _Coming) -> list[Step]:
        now_ms = self._now_ms()
        authors = _json([[each, user_name(each, source)] for each in coming.authors])
        rooms = _json(list(coming.counts))
        before_users, before_rooms = Earlier(0, "id"), Earlier(5, "id")
        last_id, last_position = Earlier(9, "id"), Earlier(9, "position")
        steps: list[Step] = [
            ("last_stream", ()),
            ("import_user_streams", (before_users, source, authors)),
            ("import_users", (before_users, source, authors, now_ms)),
            ("import_authors", (before_users, source, authors)),
            ("import_members", (space_id, source, authors, now_ms)),
            ("last_stream", ()),
            ("import_room_streams", (before_rooms, space_id, rooms)),
            ("import_rooms", (before_rooms, space_id, rooms, now_ms)),
            ("import_begins", (source,)),
            ("last_lines", ()),
            ("import_messages", (space_id, source, last_id, _json(coming.messages))),
            ("import_told", (last_id, last_position)),
            ("import_texts", (last_id,)),
        ]
        if coming.happenings:
            happenings = _json(coming.happenings)
            steps += [
                ("import_actions", (source, happenings)),
                ("import_happenings", (space_id, source, happenings, last_position)),
            ]
        numbered = ("import_numbered", (space_id, _json(list(coming.counts.items()))))
        return [*steps, numbered, ("import_ended", ())]

    def _there(self, known: tuple[int, int | None]) -> int:
        space_id, deleted_at_ms = known
        if deleted_at_ms is not None:
            raise Gone(f"the space {space_id} of this log was deleted", what="space")
        return space_id

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


class _Message(msgspec.Struct, array_like=True, gc=False):
    """A line as `import_messages` takes it."""

    place: int
    number: int
    room: str
    author: str
    at_ms: int
    digest: str
    count: int
    """Which of its room's lines it is."""
    text: str
    answered: int | None
    beside: int | None
    """The place of what it answers, if that is one of these lines."""


class _Coming:
    """Lines on their way in, as the statements take them."""

    def __init__(self, max_content_bytes: int) -> None:
        self.authors: dict[str, None] = {}
        self.counts: dict[str, int] = {}
        """How many lines each room gets."""
        self.messages: list[_Message] = []
        self.happenings: list[tuple[Any, ...]] = []
        self._places: defaultdict[str, dict[int, int]] = defaultdict(dict)
        """Of the messages, by room and number; of several alike the first counts."""
        self._max_content_bytes = max_content_bytes

    def add(self, lines: Sequence[LogLine]) -> None:
        """Let these lines be the next.

        Raises:
            InvalidValue: One is too long.
        """
        authors, counts, places, most_bytes = self.authors, self.counts, self._places, self._max_content_bytes
        first = len(self.messages) + len(self.happenings) + 1
        for place, line in enumerate(lines, first):  # this runs once a line
            number, room, text, answered = line.number, line.room, line.text, line.answered
            authors[line.author] = None
            counts[room] = count = counts.get(room, 0) + 1
            if line.event is not None:
                kind = LOG_EVENTS[line.event]
                digest = payload_hash(kind, text).hex()
                self.happenings.append(
                    (place, number, room, line.author, line.at_ms, digest, count, text, kind)
                )
                continue
            if len(text) * _BYTES_A_CHARACTER > most_bytes:
                _check_length(line, most_bytes)
            beside = None if answered is None else places[room].get(answered)
            places[room].setdefault(number, place)
            digest = payload_hash("send-message", text).hex()
            self.messages.append(
                _Message(place, number, room, line.author, line.at_ms, digest, count, text, answered, beside)
            )


def _check_length(line: LogLine, max_bytes: int) -> None:
    size = len(line.text.encode())
    if size > max_bytes:
        raise InvalidValue(
            f"line {line.number} has {size} bytes of text; at most {max_bytes} are allowed", field="text"
        )


def _client_id(source: str, line: LogLine) -> str:
    return f"log:{source}:{'' if line.event is None else 'e'}{line.number}"


def user_name(author: str, source: str) -> str:
    """Return the name of the user who stands for an author: no other author's, and none that can be registered."""
    name = f"{author or 'nobody'}@{source}"
    if author and len(name) <= _MAX_USER_NAME_CHARACTERS:
        return name
    digest = blake2b(author.encode(), digest_size=_DIGEST_CHARACTERS // 2).hexdigest()
    rest = f"~{digest}@{source}"
    return (author or "nobody")[: _MAX_USER_NAME_CHARACTERS - len(rest)] + rest


def _check_source(source: str) -> None:
    is_plain = source.isascii() and all(each.isalnum() or each in "._-" for each in source)
    if not is_plain or not 0 < len(source) <= MAX_SOURCE_CHARACTERS:
        raise InvalidValue(
            f"the log's name is {source[:64]!r}; 1 to {MAX_SOURCE_CHARACTERS} letters, digits, '.', '_', '-' are allowed",
            field="source",
        )


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
