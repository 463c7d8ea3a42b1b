"""Where the key of an encrypted database is kept, in words: `file:PATH`, `env:NAME` or `keyring:SERVICE/USER`."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dataserver.setting_values import Refused, expanded

if TYPE_CHECKING:
    from workers import KeySource

ALLOWED = "file:PATH, env:NAME or keyring:SERVICE/USER"


@dataclass(frozen=True)
class KeyPlace:
    """A place that holds a key of 32 bytes."""

    kind: str
    where: str

    @classmethod
    def read(cls, text: object) -> KeyPlace:
        """Return the place that `text` names.

        Raises:
            Refused: It names none.
        """
        kind, _, where = str(text).partition(":")
        if kind == "file" and where:
            where = str(expanded(where).absolute())
        elif not (kind == "env" and where) and not (kind == "keyring" and all(where.partition("/"))):
            raise Refused(ALLOWED)
        return cls(kind, where)


@dataclass(frozen=True)
class KeyPlaces:
    """Where the keys of databases are: `shop=file:PATH,chat.db=env:NAME`, or a table of TOML."""

    @property
    def allowed(self) -> str:
        """How it looks."""
        return "NAME=PLACE,..."

    def read(self, given: object) -> dict[str, KeyPlace]:
        """Return the places by name."""
        if isinstance(given, str):
            given = dict(part.strip().partition("=")[::2] for part in given.split(",") if part.strip())
        try:
            places = {str(name).strip(): KeyPlace.read(text) for name, text in dict(given).items()}  # type: ignore[call-overload]  # refused if it is none
        except (TypeError, ValueError) as error:
            raise Refused(f"names with {ALLOWED} each, such as shop=file:/run/keys/shop") from error
        return places


def key_sources(
    places: Mapping[str, KeyPlace], environment: MutableMapping[str, str]
) -> dict[str, KeySource]:
    """Return what gives the keys, by the same names; variables that hold one are taken out of `environment`.

    Raises:
        KeySourceRefused: A variable is not there or holds no key, or there is no system's keyring.
    """
    made: dict[KeyPlace, KeySource] = {}
    for place in places.values():
        if place not in made:
            made[place] = _source(place, environment)
    return {name: made[place] for name, place in places.items()}


def _source(place: KeyPlace, environment: MutableMapping[str, str]) -> KeySource:
    from workers import (  # noqa: PLC0415 - 30 ms of cryptography that only who has keys pays
        EnvironmentKeySource,
        FileKeySource,
        OsKeyringSource,
    )

    if place.kind == "file":
        return FileKeySource(Path(place.where))
    if place.kind == "env":
        return EnvironmentKeySource(place.where, environment)
    service, _, user = place.where.partition("/")
    return OsKeyringSource(service, user)
