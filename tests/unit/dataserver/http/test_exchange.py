"""What a request says about itself: what it accepts, how long it has, what it carries."""

from __future__ import annotations

import pytest

from dataserver.answers import CSV, JSON, NDJSON
from dataserver.exchange import (
    MAX_PARAMETER_COUNT,
    accepts,
    check_content_type,
    query_pairs,
    requested_timeout_s,
)
from dataserver.limits import HttpLimits
from dataserver.refusals import InvalidParameter, UnsupportedMediaType

LIMITS = HttpLimits(max_timeout_s=60.0)


@pytest.mark.parametrize(
    ("accept", "media", "accepted"),
    [
        (None, JSON, True),
        (b"*/*", JSON, True),
        (b"application/json", JSON, True),
        (b"text/html, application/*;q=0.8", JSON, True),
        (b"Application/JSON", JSON, True),
        (b"text/html,*/*;q=0.1", CSV, True),
        (b"text/csv", CSV, True),
        (b"text/html", JSON, False),
        (b"application/json;q=0", JSON, False),
        (b"application/jsonx", JSON, False),
        (b"", JSON, False),
        (b"application/json", NDJSON, False),
    ],
)
def test_a_client_accepts_what_it_names(accept: bytes | None, media: bytes, accepted: bool) -> None:
    assert accepts({} if accept is None else {b"accept": accept}, media) is accepted


@pytest.mark.parametrize(
    "sent", [None, b"application/json", b"application/json; charset=utf-8", b"Application/JSON ;x"]
)
def test_json_passes_by_any_of_its_names(sent: bytes | None) -> None:
    check_content_type({} if sent is None else {b"content-type": sent})


def test_json_passes_under_the_type_that_curl_gives_what_has_none() -> None:
    check_content_type({b"content-type": b"application/x-www-form-urlencoded"})


@pytest.mark.parametrize("sent", [b"text/plain", b"multipart/form-data", b"", b"\xff"])
def test_a_body_of_another_type_is_refused(sent: bytes) -> None:
    with pytest.raises(UnsupportedMediaType):
        check_content_type({b"content-type": sent})


def test_a_body_that_is_compressed_is_refused_in_words() -> None:
    check_content_type({b"content-encoding": b"Identity"})
    with pytest.raises(UnsupportedMediaType, match="encoded as 'gzip'"):
        check_content_type({b"content-encoding": b"gzip"})


@pytest.mark.parametrize(
    ("header", "query", "timeout_s"),
    [
        (None, b"", None),
        (None, b"x=1", None),
        (b"250", b"", 0.25),
        (b"250", b"timeout_ms=500", 0.5),
        (b"250", b"other_timeout_ms=500", 0.25),
        (None, b"a=b&timeout_ms=1", 0.001),
        (None, b"timeout_ms=999999999", 60.0),
    ],
)
def test_the_deadline_is_the_querys_or_the_headers_and_has_a_cap(
    header: bytes | None, query: bytes, timeout_s: float | None
) -> None:
    headers = {} if header is None else {b"request-timeout-ms": header}
    assert requested_timeout_s(headers, query, LIMITS) == timeout_s


@pytest.mark.parametrize("text", [b"0", b"-1", b"1.5", b"soon", b"", b"9" * 13, b"\xff", "\u0665".encode()])
def test_a_deadline_that_is_no_number_of_milliseconds_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidParameter):
        requested_timeout_s({b"request-timeout-ms": text}, b"", LIMITS)


def test_parameters_keep_their_order_and_their_repeats() -> None:
    assert query_pairs(b"b=2&a=&b=1%26") == [("b", "2"), ("a", ""), ("b", "1&")]


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(InvalidParameter):
        query_pairs(b"&".join([b"a=1"] * (MAX_PARAMETER_COUNT + 1)))


@pytest.mark.parametrize(
    "wrong",
    [{"max_body_bytes": 0}, {"max_timeout_s": float("inf")}, {"default_page_count": 10, "max_page_count": 5}],
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"allowed|at most"):
        HttpLimits(**wrong)  # type: ignore[arg-type] # what is wrong is the point
