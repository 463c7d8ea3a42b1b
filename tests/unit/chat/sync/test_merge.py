"""Two devices changed the settings: what they become."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chat.sync.document import (
    InvalidSettings,
    SettingsDocument,
    SettingsField,
    SettingsTooNew,
    read,
    same,
    written,
)
from chat.sync.merge import FieldConflict, changes, merged

NAMES = st.sampled_from(["preferences.a", "preferences.b", "preferences.c", "later.thing"])
VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.text(max_size=2))
CHANGES = st.lists(st.tuples(st.dictionaries(NAMES, VALUES, max_size=3), st.integers(0, 5)), max_size=4)


def changed(document: SettingsDocument, steps: list[tuple[dict[str, Any], int]]) -> SettingsDocument:
    for values, at_ms in steps:
        document = document.with_changes(values, at_ms)
    return document


@st.composite
def sides(draw: st.DrawFn) -> tuple[SettingsDocument, SettingsDocument, SettingsDocument]:
    base = changed(SettingsDocument(), draw(CHANGES))
    return base, changed(base, draw(CHANGES)), changed(base, draw(CHANGES))


@settings(max_examples=50)
@given(sides())
def test_both_sides_come_to_the_same(
    given_sides: tuple[SettingsDocument, SettingsDocument, SettingsDocument],
) -> None:
    base, mine, theirs = given_sides
    here, there = merged(base, mine, theirs), merged(base, theirs, mine)
    assert written(here.document) == written(there.document)
    assert [(c.name, c.kept, c.lost, not c.was_mine) for c in here.conflicts] == [
        (c.name, c.kept, c.lost, c.was_mine) for c in there.conflicts
    ]


@settings(max_examples=50)
@given(sides())
def test_a_side_that_changed_nothing_takes_the_other(
    given_sides: tuple[SettingsDocument, SettingsDocument, SettingsDocument],
) -> None:
    base, mine, _ = given_sides
    for found in (merged(base, mine, base), merged(base, base, mine), merged(base, mine, mine)):
        assert written(found.document) == written(mine)
        assert not found.conflicts


@settings(max_examples=50)
@given(sides())
def test_every_change_is_kept_or_told_as_a_conflict(
    given_sides: tuple[SettingsDocument, SettingsDocument, SettingsDocument],
) -> None:
    base, mine, theirs = given_sides
    found, conflicts = merged(base, mine, theirs)
    lost = {(each.name, str(each.lost)) for each in conflicts}
    for side in (mine, theirs):
        for name, value in changes(base, side).items():
            kept = found.fields[name].value
            assert same(kept, value) or (name, str(value)) in lost


@settings(max_examples=50)
@given(sides())
def test_merging_again_changes_nothing_any_more(
    given_sides: tuple[SettingsDocument, SettingsDocument, SettingsDocument],
) -> None:
    base, mine, theirs = given_sides
    once = merged(base, mine, theirs).document
    again = merged(theirs, once, theirs)
    assert written(again.document) == written(once)
    assert not again.conflicts


def test_of_two_changes_the_later_counts_and_the_other_is_told() -> None:
    base = SettingsDocument().with_changes({"preferences.theme": "light"}, 1)
    mine = base.with_changes({"preferences.theme": "dark"}, 5)
    theirs = base.with_changes({"preferences.theme": "blue"}, 3)
    assert merged(base, mine, theirs).conflicts == (
        FieldConflict(name="preferences.theme", kept="dark", lost="blue", lost_at_ms=3, was_mine=False),
    )


def test_a_field_that_was_taken_away_is_not_brought_back_by_a_device_that_had_not_heard_of_it() -> None:
    base = SettingsDocument().with_changes({"bookmarks.7": {"room": "3"}}, 1)
    mine = base.with_changes({"bookmarks.7": None}, 2)
    theirs = base.with_changes({"preferences.theme": "dark"}, 9)
    found = merged(base, mine, theirs).document
    assert found.bookmarks == {}
    assert found.preferences == {"theme": "dark"}


@settings(max_examples=50)
@given(sides())
def test_a_document_comes_back_as_it_was_written(
    given_sides: tuple[SettingsDocument, SettingsDocument, SettingsDocument],
) -> None:
    assert read(written(given_sides[1])) == given_sides[1]


def test_an_earlier_schema_is_cast_up_step_by_step() -> None:
    old = b'{"schema": 1, "theme": "dark"}'
    upcasters = {
        1: lambda plain: {"prefs": {"theme": plain["theme"]}},
        2: lambda plain: {
            "fields": {
                f"preferences.{name}": {"value": value, "at_ms": 0} for name, value in plain["prefs"].items()
            }
        },
    }
    found = read(old, schema=3, upcasters=upcasters)
    assert (found.schema, found.preferences) == (3, {"theme": "dark"})


def test_settings_of_a_later_program_are_not_read() -> None:
    with pytest.raises(SettingsTooNew):
        read(b'{"schema": 2, "fields": {}}')


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b'{"schema": 0, "fields": {}}', b'{"schema": 1, "fields": 3}']
)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidSettings):
        read(data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("folders", "no list"),
        ("sidebar", [1]),
        ("bookmarks.3", "no bookmark"),
        ("preferences.x", object()),
        ("", 1),
        ("n" * 201, 1),
    ],
)
def test_a_value_of_another_form_than_its_name_asks_for_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidSettings):
        SettingsDocument().with_changes({name: value}, 1)


def test_the_parts_have_their_types() -> None:
    document = SettingsDocument().with_changes(
        {
            "folders": [{"id": "f", "name": "Work", "spaces": ["1", "2"]}],
            "sidebar": ["f", "3"],
            "bookmarks.9": {"room": "4", "note": "read"},
        },
        1,
    )
    assert document.folders[0].spaces == ("1", "2")
    assert document.sidebar == ["f", "3"]
    assert document.bookmarks["9"].note == "read"


def test_a_change_to_what_is_there_already_keeps_its_time() -> None:
    document = SettingsDocument().with_changes({"preferences.a": 1}, 1)
    assert document.with_changes({"preferences.a": 1}, 9).fields["preferences.a"] == SettingsField(
        value=1, at_ms=1
    )
