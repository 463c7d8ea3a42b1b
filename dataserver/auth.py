"""Who may do what: bearer tokens, hashed at rest, with one of three roles.

A token is 32 random bytes; its SHA-256 is what the database keeps, and what a request is looked up by, in memory:
a request costs no SQL, and the time of a lookup by hash says nothing about the token. All tokens are held in memory,
so their number has a bound. A user of the chat who has a role on the server comes in with the token of a session.
One process owns the database (the data folder's lock), so nobody changes it behind us.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final, Literal, Self, cast

import msgspec

from dataserver.refusals import Forbidden, TokenNotFound, TooManyTokens, Unauthenticated

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from chat import Session
    from storage import Database
    from workers import Clock

Role = Literal["read", "write", "admin"]

ROLES: Final[tuple[Role, ...]] = ("read", "write", "admin")
"""From the least to the most: each may do what those before it may."""

RANKS: Final[Mapping[str, int]] = {role: rank for rank, role in enumerate(ROLES, start=1)}

MIGRATIONS: Final = "dataserver.migrations"
"""The package of `.sql` files that the server's own database is opened with."""

TOKEN_PREFIX: Final = "dst_"  # noqa: S105 - what every token begins with, so that a leaked one is recognised
_SESSION_PREFIX: Final = b"dsu_"
MAX_TOKEN_COUNT: Final = 10_000
MAX_NAME_CHARACTERS: Final = 200
_MAX_HEADER_BYTES = 512
_TOKEN_BYTES = 32
_ID_BYTES = 8


@dataclass(frozen=True, slots=True)
class Principal:
    """Who sends a request."""

    token_id: str
    role: Role
    rank: int
    """The role's place in `ROLES`, from 1, for one comparison a request."""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token; never the token itself."""

    id: str
    name: str
    role: Role
    created_at_ms: int
    revoked_at_ms: int | None = None


class IssuedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A new token, with its text, which nobody can ever show again."""

    token: str
    id: str
    name: str
    role: Role
    created_at_ms: int


class TokenStore:
    """All tokens of a server, in memory and in its database."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._tokens: dict[str, Token] = {}
        self._principals: dict[bytes, Principal] = {}
        self._hashes: dict[str, bytes] = {}
        self._session_of: Callable[[bytes | None], Session] | None = None

    @property
    def database(self) -> Database:
        """Where they are kept."""
        return self._database

    @classmethod
    async def open(cls, database: Database, *, clock: Clock) -> Self:
        """Return the store that `database` holds; it must have been opened with `MIGRATIONS`."""
        store = cls(database, clock)
        rows = await database.query(
            "SELECT id, name, role, created_at_ms, revoked_at_ms, hash FROM token ORDER BY created_at_ms, id"
        )
        for token_id, name, role, created_at_ms, revoked_at_ms, digest in rows:
            store._remember(
                Token(
                    id=token_id,
                    name=name,
                    role=role,
                    created_at_ms=created_at_ms,
                    revoked_at_ms=revoked_at_ms,
                ),
                digest,
            )
        return store

    def accept_sessions(self, session_of: Callable[[bytes | None], Session]) -> None:
        """Let users of the chat in as well, by the role that they have on the server."""
        self._session_of = session_of

    def list(self) -> list[Token]:
        """Return every token, revoked ones too, oldest first."""
        return list(self._tokens.values())

    async def create(self, *, name: str, role: Role) -> IssuedToken:
        """Make a token; it is on disk, and counts, once this returns.

        Raises:
            ValueError: The role is none, or the name is too long.
            TooManyTokens: The bound is reached.
        """
        if role not in RANKS:
            raise ValueError(f"the role is {role!r}; allowed are {', '.join(ROLES)}")
        if len(name) > MAX_NAME_CHARACTERS:
            raise ValueError(
                f"the name has {len(name)} characters; at most {MAX_NAME_CHARACTERS} are allowed"
            )
        if len(self._tokens) >= MAX_TOKEN_COUNT:
            raise TooManyTokens(f"the server keeps {MAX_TOKEN_COUNT} tokens already")
        text = TOKEN_PREFIX + secrets.token_urlsafe(_TOKEN_BYTES)
        digest = sha256(text.encode()).digest()
        created = Token(
            id=secrets.token_hex(_ID_BYTES),
            name=name,
            role=role,
            created_at_ms=int(self._clock.now() * 1000),
        )
        await self._database.execute(
            "INSERT INTO token (id, name, role, hash, created_at_ms) VALUES (?, ?, ?, ?, ?)",
            [created.id, created.name, created.role, digest, created.created_at_ms],
        )
        self._remember(created, digest)
        return IssuedToken(
            token=text,
            id=created.id,
            name=created.name,
            role=created.role,
            created_at_ms=created.created_at_ms,
        )

    async def create_first_admin(self) -> IssuedToken | None:
        """Make an admin token if there never was a token; None otherwise."""
        if self._tokens:
            return None
        return await self.create(name="first admin", role="admin")

    async def revoke(self, token_id: str) -> Token:
        """Make a token worthless; no request passes with it once this returns.

        Raises:
            TokenNotFound: There is no such token, or it was revoked before.
        """
        known = self._tokens.get(token_id)
        if known is None or known.revoked_at_ms is not None:
            raise TokenNotFound(f"there is no valid token {token_id!r}")
        digest = self._hashes[token_id]
        self._principals.pop(digest, None)  # at once: should the write fail, the caller knows to repeat it
        revoked = msgspec.structs.replace(known, revoked_at_ms=int(self._clock.now() * 1000))
        try:
            await self._database.execute(
                "UPDATE token SET revoked_at_ms = ? WHERE id = ?", [revoked.revoked_at_ms, token_id]
            )
        except BaseException:
            self._remember(known, digest)
            raise
        self._remember(revoked, digest)
        return revoked

    def authenticate(self, authorization: bytes | None) -> Principal:
        """Return who sends the value of this `Authorization` header.

        Raises:
            Unauthenticated: None came, it is no bearer token, or the token is unknown or revoked.
            UnknownSession: It is that of a session that is unknown or has ended.
            Forbidden: It is that of a user who has no role on the server.
        """
        if authorization is None:
            raise Unauthenticated("a token is needed: send `Authorization: Bearer TOKEN`")
        if len(authorization) > _MAX_HEADER_BYTES or authorization[:7].lower() != b"bearer ":
            raise Unauthenticated("the Authorization header is no bearer token")
        token = authorization[7:].strip()
        principal = self._principals.get(sha256(token).digest())
        if principal is not None:
            return principal
        if self._session_of is None or not token.startswith(_SESSION_PREFIX):
            raise Unauthenticated("the token is unknown or revoked")
        return _principal_of(self._session_of(authorization))

    def recognise(self, authorization: bytes | None) -> None:
        """Let everybody pass who is known here, whatever they may do.

        Raises:
            Unauthenticated, UnknownSession: As `authenticate`.
        """
        try:
            self.authenticate(authorization)
        except Forbidden:
            return

    def _remember(self, token: Token, digest: bytes) -> None:
        self._tokens[token.id] = token
        self._hashes[token.id] = digest
        if token.revoked_at_ms is None:
            self._principals[digest] = Principal(token.id, token.role, RANKS[token.role])
        else:
            self._principals.pop(digest, None)


def _principal_of(session: Session) -> Principal:
    role = session.server_role
    if role is None:
        raise Forbidden(
            f"this needs a role on the server; the user {session.name!r} has none", needed=ROLES[0], has=None
        )
    return Principal(f"user {session.user_id}", cast("Role", role), RANKS[role])


def require(principal: Principal, role: Role) -> None:
    """Let `principal` pass if its role reaches `role`.

    Raises:
        Forbidden: It does not.
    """
    if principal.rank < RANKS[role]:
        raise Forbidden(
            f"this needs the role {role!r}; the token has {principal.role!r}", needed=role, has=principal.role
        )
