"""Which numbered sends can be stored together, and in which order."""

from __future__ import annotations

from chat.domain.gathered_sends import (
    MAX_TOGETHER_BYTES,
    MAX_TOGETHER_COUNT,
    Prepared,
    Together,
    in_turn,
    runs_of,
)


def send(
    client_id: str, number: int | None = None, *, session: str = "s", content_bytes: int = 1
) -> Prepared:
    turn = None if number is None else (session, 7, 1, number)
    return Prepared(7, 1, client_id, b"", "x", content_bytes, None, None, turn)


def test_the_sends_of_a_session_take_their_places_in_the_order_of_their_numbers() -> None:
    sends = [send("c", 3), send("x"), send("a", 1), send("other", 1, session="t"), send("b", 2)]
    assert [each.client_id for each in in_turn(sends)] == ["a", "x", "b", "other", "c"]


def test_the_run_of_a_session_ends_at_the_first_number_that_is_missing() -> None:
    turns = [("s", 7, 1, 4), ("s", 7, 1, 3), ("s", 7, 1, 6), ("t", 7, 1, 1), ("s", 7, 1, 4)]
    assert runs_of(turns) == [("s", 7, 1, 3, 4), ("t", 7, 1, 1, 1)]


def test_only_so_many_sends_and_bytes_go_together() -> None:
    together = Together()
    for number in range(MAX_TOGETHER_COUNT):
        assert together.has_room_for(send(f"{number}"))
        together.add(send(f"{number}"))
    assert not together.has_room_for(send("one more"))
    large = Together()
    large.add(send("large", content_bytes=MAX_TOGETHER_BYTES - 1))
    assert large.has_room_for(send("small", content_bytes=1))
    assert not large.has_room_for(send("larger", content_bytes=2))


def test_two_sends_with_the_same_client_id_do_not_go_together() -> None:
    together = Together()
    together.add(send("same"))
    assert not together.has_room_for(send("same"))
    assert together.has_room_for(send("another"))
