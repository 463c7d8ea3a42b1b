"""What is left of an update of a space that somebody else changed meanwhile."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chat.sync.space_merge import SpaceSettings, rest_of

NAMES = st.sampled_from(["name", "description", "emoji"])
VALUES = st.one_of(st.none(), st.booleans(), st.integers(0, 2), st.text(max_size=1))
FIELDS = st.dictionaries(NAMES, VALUES)


def there(fields: dict[str, object], at_ms: int = 0) -> SpaceSettings:
    return SpaceSettings(version=2, settings=fields, updated_at_ms=at_ms)


def test_a_field_that_only_they_changed_stays_as_they_have_it() -> None:
    assert rest_of({"name": "n"}, {"name": "o"}, there({"name": "o", "emoji": 1}), at_ms=5) == (
        {"name": "n"},
        (),
    )


def test_of_two_changes_of_a_field_the_later_counts_and_the_other_is_told() -> None:
    for theirs_at_ms, left, lost, was_mine in ((4, {"name": "mine"}, "theirs", False), (6, {}, "mine", True)):
        rest = rest_of({"name": "mine"}, {"name": "old"}, there({"name": "theirs"}, theirs_at_ms), at_ms=5)
        (conflict,) = rest.conflicts
        assert (rest.fields, conflict.lost, conflict.was_mine) == (left, lost, was_mine)
        assert conflict.lost_at_ms == min(theirs_at_ms, 5)


@given(mine=FIELDS, base=FIELDS, theirs=FIELDS, theirs_at_ms=st.integers(0, 2))
def test_every_field_is_done_there_already_still_to_be_done_or_told(
    mine: dict[str, object], base: dict[str, object], theirs: dict[str, object], theirs_at_ms: int
) -> None:
    rest = rest_of(mine, base, there(theirs, theirs_at_ms), at_ms=1)
    lost = {each.name for each in rest.conflicts if each.was_mine}
    for name, value in mine.items():
        is_done = type(value) is type(theirs.get(name)) and value == theirs.get(name)
        assert [name in rest.fields, name in lost, is_done].count(True) == 1
    after = there({**theirs, **rest.fields}, theirs_at_ms)
    assert rest_of(rest.fields, base, after, at_ms=1) == ({}, ())
