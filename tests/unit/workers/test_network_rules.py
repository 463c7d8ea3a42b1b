"""What failures, answers and samples mean, without a network."""

from __future__ import annotations

import errno
import socket
import ssl

import anyio
import httpx2
import msgspec
import pytest

from workers.services.network.messages import LatencyParams, Reason, Spread, StunParams
from workers.services.network.reasons import reason_of, verdict
from workers.services.network.samples import percentile, spread_of
from workers.services.network.web import in_words, is_elsewhere, url_of

GROUP = ExceptionGroup("all attempts", [ConnectionRefusedError(errno.ECONNREFUSED, "refused")])


def caused(error: Exception, *causes: BaseException) -> Exception:
    """Return an error that came of others, the innermost last."""
    inner: BaseException = error
    for cause in causes:
        inner.__cause__ = cause
        inner = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (caused(httpx2.ConnectError("x"), socket.gaierror(-2, "unknown")), "dns"),
        (UnicodeError("label too long"), "dns"),
        (caused(httpx2.ConnectError("x"), ConnectionRefusedError(errno.ECONNREFUSED, "")), "refused"),
        (caused(httpx2.ConnectError("x"), OSError("all failed"), GROUP), "refused"),
        (caused(httpx2.ConnectError("x"), OSError(errno.ENETUNREACH, "")), "unreachable"),
        (caused(httpx2.ConnectError("x"), ssl.SSLCertVerificationError(1, "self-signed")), "tls"),
        (httpx2.ConnectTimeout("x"), "timeout"),
        (httpx2.ReadTimeout("x"), "timeout"),
        (TimeoutError(), "timeout"),
        (caused(httpx2.ReadError("x"), ConnectionResetError(errno.ECONNRESET, "")), "reset"),
        (httpx2.ReadError(""), "reset"),
        (anyio.EndOfStream(), "reset"),
        (httpx2.RemoteProtocolError("Server disconnected without sending a response."), "reset"),
        (httpx2.RemoteProtocolError("illegal status line"), "protocol"),
        (httpx2.UnsupportedProtocol("gopher"), "url"),
        (OSError("of no number"), "protocol"),
    ],
    ids=[str(number) for number in range(16)],
)
def test_a_failure_means_what_its_innermost_cause_says(error: Exception, reason: Reason) -> None:
    assert reason_of(error) == reason


def test_a_failure_that_is_its_own_cause_comes_to_an_end() -> None:
    error = httpx2.ReadTimeout("x")
    error.__context__ = other = OSError("y")
    other.__context__ = error
    assert reason_of(error) == "timeout"


@pytest.mark.parametrize(
    ("status", "expected", "is_elsewhere", "reason"),
    [
        (200, None, False, "ok"),
        (301, None, False, "ok"),
        (302, None, True, "captive"),
        (404, None, False, "status"),
        (503, None, False, "status"),
        (511, None, False, "captive"),
        (511, 204, False, "captive"),
        (204, 204, False, "ok"),
        (404, 404, False, "ok"),
        (200, 204, False, "captive"),
        (307, 204, True, "captive"),
        (301, 204, False, "status"),
        (500, 204, False, "status"),
    ],
)
def test_an_answer_means_what_its_status_says(
    status: int, expected: int | None, is_elsewhere: bool, reason: Reason
) -> None:
    assert verdict(status, expected=expected, is_elsewhere=is_elsewhere) == reason


@pytest.mark.parametrize(
    ("location", "elsewhere"),
    [
        (None, False),
        ("/login", False),
        ("http://here.example/other", False),
        ("http://portal.example/login", True),
        ("//portal.example", True),
        ("mailto:nobody", False),
    ],
)
def test_a_redirect_leads_elsewhere_if_its_host_is_another(location: str | None, elsewhere: bool) -> None:
    headers = {} if location is None else {"location": location}
    response = httpx2.Response(302, headers=headers, request=httpx2.Request("GET", "http://here.example/a"))
    assert is_elsewhere(response) is elsewhere


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no url",
        "ftp://host/",
        "http://",
        "http://[",
        "//host",
        "http://ho st/",
        "http://host:0/",
        "http://host:-1/",
        "http://host:65536/",
    ],
)
def test_what_is_no_url_to_ask_is_none(text: str) -> None:
    assert url_of(text) is None


def test_every_reason_has_words_that_name_no_more_than_the_caller_sent() -> None:
    reasons: list[Reason] = list(Reason.__args__)  # type: ignore[attr-defined]  # what a Literal keeps
    assert {reason: in_words(reason, 2.5) for reason in reasons}["timeout"] == "no answer within 2.5 s"
    assert [reason for reason in reasons if not in_words(reason, 1.0)] == ["ok"]


def test_a_spread_of_samples_is_that_of_their_order_and_their_ranks() -> None:
    assert spread_of([3.0, 1.0, 2.0, 10.0]) == Spread(
        min_ms=1.0, mean_ms=4.0, p50_ms=2.0, p90_ms=10.0, p99_ms=10.0, max_ms=10.0, jitter_ms=11.0 / 3
    )
    assert spread_of([5.0]).jitter_ms == 0.0
    assert spread_of([]) == Spread()


def test_a_percentile_is_a_sample_that_was_taken() -> None:
    ordered = [float(number) for number in range(1, 101)]
    assert [percentile(ordered, fraction) for fraction in (0.0, 0.01, 0.5, 0.9, 0.99, 1.0)] == [
        1.0,
        1.0,
        50.0,
        90.0,
        99.0,
        100.0,
    ]


def test_parameters_out_of_bounds_are_refused() -> None:
    for params, value in (
        (StunParams, {"host": "h", "port": 1, "timeout_s": 4.1}),
        (StunParams, {"host": "", "port": 1, "timeout_s": 1.0}),
        (StunParams, {"host": "h", "port": 0, "timeout_s": 1.0}),
        (LatencyParams, {"url": "u", "samples_count": 1_001, "interval_s": 0.0, "timeout_s": 1.0}),
        (LatencyParams, {"url": "u", "samples_count": 1, "interval_s": 0.0, "timeout_s": 0.0}),
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(value, params)
