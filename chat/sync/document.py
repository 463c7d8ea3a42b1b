"""The settings of a user as one document: named fields, each with the time of its last change. Pure.

    folders               how spaces are grouped: a list of {"id", "name", "spaces": [...]}
    sidebar               the order of spaces and folders: a list of ids
    preferences.NAME      any value
    bookmarks.MESSAGE     what is noted of a message: {"room", "note"}

A field is the unit of merging, which is why each preference and each bookmark is one, and the order is one as a whole.
A field that was taken away stays, with the value None: otherwise a device that has not heard of it would bring it back.
Fields of other names are kept as they are: they may be of a later program.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chat.errors import ChatError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Upcasters = Mapping[int, Callable[[dict[str, Any]], dict[str, Any]]]

SCHEMA: Final = 1
MAX_FIELD_COUNT: Final = 10_000
MAX_DOCUMENT_BYTES: Final = 1_048_576
MAX_NAME_CHARACTERS: Final = 200

UPCASTERS: Final[Upcasters] = MappingProxyType({})
"""By schema: what makes the next schema's plain document of one; there has been one schema so far."""

_encode = msgspec.json.Encoder(order="deterministic").encode


class InvalidSettings(ChatError):
    """What was to be a field or a document of settings is none; nothing was changed."""


class SettingsTooNew(ChatError):
    """The settings were written by a later program; this one must not overwrite what it can't read."""

    def __init__(self, schema: int) -> None:
        super().__init__(f"the settings have the schema {schema}; this program knows those up to {SCHEMA}")
        self.schema = schema


class Folder(msgspec.Struct, frozen=True, kw_only=True):
    """Spaces that are shown together."""

    id: str
    name: str
    spaces: tuple[str, ...] = ()


class Bookmark(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message that the user wants to find again."""

    room: str
    note: str = ""


class SettingsField(msgspec.Struct, frozen=True, kw_only=True):
    """One field."""

    value: Any
    """None: it was taken away."""
    at_ms: int
    """When it was changed, by the clock of the device that did it."""


class SettingsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of a user."""

    schema: int = SCHEMA
    fields: dict[str, SettingsField] = msgspec.field(default_factory=dict)

    def with_changes(self, changes: Mapping[str, Any], at_ms: int) -> SettingsDocument:
        """Return it with fields changed at `at_ms`; what is the same already keeps its time.

        A change is later than what it replaces, whatever the clock says.

        Raises:
            InvalidSettings: A value is not of its field's form, or they are too many.
        """
        fields = dict(self.fields)
        for name, value in changes.items():
            check_field(name, value)
            if name not in fields or not same(fields[name].value, value):
                fields[name] = SettingsField(value=value, at_ms=max(at_ms, _after(fields.get(name))))
        if len(fields) > MAX_FIELD_COUNT:
            raise InvalidSettings(f"{len(fields)} fields of settings; at most {MAX_FIELD_COUNT} are allowed")
        return SettingsDocument(schema=self.schema, fields=fields)

    def values(self) -> dict[str, Any]:
        """Return the value of each field that there is."""
        return {name: field.value for name, field in self.fields.items() if field.value is not None}

    @property
    def folders(self) -> list[Folder]:
        """How spaces are grouped."""
        return msgspec.convert(self.values().get("folders", []), list[Folder])

    @property
    def sidebar(self) -> list[str]:
        """The order of spaces and folders, by id."""
        return msgspec.convert(self.values().get("sidebar", []), list[str])

    @property
    def preferences(self) -> dict[str, Any]:
        """The preferences by name."""
        return self._under("preferences.")

    @property
    def bookmarks(self) -> dict[str, Bookmark]:
        """The bookmarks by message."""
        return msgspec.convert(self._under("bookmarks."), dict[str, Bookmark])

    def _under(self, prefix: str) -> dict[str, Any]:
        return {
            name.removeprefix(prefix): value
            for name, value in self.values().items()
            if name.startswith(prefix)
        }


def check_field(name: str, value: Any) -> None:
    """Let a field pass whose value has the form that its name asks for.

    Raises:
        InvalidSettings: It has not, or JSON can't carry it.
    """
    if not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise InvalidSettings(
            f"a field's name has {len(name)} characters; 1 to {MAX_NAME_CHARACTERS} are allowed"
        )
    try:
        msgspec.json.encode(value)
        form = _FORMS.get(name.partition(".")[0])
        if form is not None and value is not None:
            msgspec.convert(value, form)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidSettings(f"the field {name!r}: {error}") from error


def _after(former: SettingsField | None) -> int:
    return 0 if former is None else former.at_ms + 1


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same in JSON (where 1 and true are not)."""
    return _encode(one) == _encode(other)


def written(document: SettingsDocument) -> bytes:
    """Return the document as bytes; the same document always gives the same.

    Raises:
        InvalidSettings: It is too large.
    """
    data = _encode(document)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InvalidSettings(
            f"the settings have {len(data)} bytes; at most {MAX_DOCUMENT_BYTES} are allowed"
        )
    return data


def read(data: bytes, *, schema: int = SCHEMA, upcasters: Upcasters = UPCASTERS) -> SettingsDocument:
    """Return the document that `written` made, by this program or an earlier one.

    Raises:
        SettingsTooNew: A later program has written it.
        InvalidSettings: It is none.
    """
    try:
        plain = msgspec.json.decode(data, type=dict[str, Any])
        found = msgspec.convert(plain.get("schema"), int)
        if found > schema:
            raise SettingsTooNew(found)
        while found < schema:
            plain = {**upcasters[found](plain), "schema": found + 1}
            found += 1
        return msgspec.convert(plain, SettingsDocument)
    except (msgspec.MsgspecError, KeyError) as error:
        raise InvalidSettings(f"these are no settings: {error}") from error


_FORMS: Final[dict[str, Any]] = {"folders": list[Folder], "sidebar": list[str], "bookmarks": Bookmark}
