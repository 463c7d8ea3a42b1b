"""Logs from elsewhere in rooms of a space of their own: texts and order as they are, answers linked, times kept.

A line's client id is made of its log's name and its own number, so lines that are there already are passed over, and an
import that was broken off is run again from the start. The authors become users with whose names nobody can log in or
register (they have an `@`). A batch is one transaction of a dozen statements, whatever the number of its lines; a
trigger gives each line the next number of its room. Measured: 38,000 lines/s in SQLite alone on one busy core, 112,000/s
where they are there already (2026-11).
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec

from chat.domain.acting import payload_hash, told
from chat.domain.permissions import Rank
from chat.domain.refusals import Gone, InvalidValue, NotFound
from chat.domain.spaces import new_epoch
from chat.domain.texts import MAX_NAME_CHARACTERS, check_text
from storage import Earlier

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
_LINES: Final = "import_lines"


class LogLine(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
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
        written = await self._tables.write_all(self._steps(source, space_id, lines))
        stored_count = written[-1].rows[0][0] - written[-3].rows[0][0]
        return StoredLines(stored_count=stored_count, known_count=len(lines) - stored_count)

    def _steps(self, source: str, space_id: int, lines: Sequence[LogLine]) -> list[Step]:
        now_ms = self._now_ms()
        authors = _json([[each, user_name(each, source)] for each in dict.fromkeys(x.author for x in lines)])
        rooms = _json(list(dict.fromkeys(line.room for line in lines)))
        before = Earlier(0, "id")
        between = Earlier(5, "id")
        return [
            ("last_stream", ()),
            ("import_user_streams", (before, source, authors)),
            ("import_users", (before, source, authors, now_ms)),
            ("import_authors", (before, source, authors)),
            ("import_members", (space_id, source, authors, now_ms)),
            ("last_stream", ()),
            ("import_room_streams", (between, space_id, rooms)),
            ("import_rooms", (between, space_id, rooms, now_ms)),
            ("log_length", (space_id,)),
            (_LINES, (space_id, source, _json([self._row(source, line) for line in lines]))),
            ("log_length", (space_id,)),
        ]

    def _row(self, source: str, line: LogLine) -> list[str | int | None]:
        if line.event is not None:
            kind = LOG_EVENTS[line.event]
            digest = payload_hash(kind, line.text).hex()
            client_id = f"log:{source}:e{line.number}"
            return [client_id, line.room, line.author, line.at_ms, digest, None, None, kind, line.text]
        size = len(line.text.encode())
        if size > self._limits.max_content_bytes:
            raise InvalidValue(
                f"line {line.number} has {size} bytes of text; at most {self._limits.max_content_bytes} are allowed",
                field="text",
            )
        answered = None if line.answered is None else f"log:{source}:{line.answered}"
        digest = payload_hash("send-message", line.text).hex()
        client_id = f"log:{source}:{line.number}"
        return [client_id, line.room, line.author, line.at_ms, digest, line.text, answered, None, None]

    def _there(self, known: tuple[int, int | None]) -> int:
        space_id, deleted_at_ms = known
        if deleted_at_ms is not None:
            raise Gone(f"the space {space_id} of this log was deleted", what="space")
        return space_id

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)


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
