from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from typing_extensions import override

from loadtests.report import milliseconds, render
from loadtests.samples import Answered, Reading, Run


class References(HTMLParser):
    """Collects what a page would have to fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            value
            for name, value in attrs
            if value and name in {"src", "href", "xlink:href"} and not value.startswith(("#", "data:"))
        ]


def run(label: str, *, took_ms: float, lag_ms: float, failures: int = 0, machine_late_s: float = 0.01) -> Run:
    return Run(
        label=label,
        begun_s=50.0,
        ended_s=54.0,
        offered_per_s=10.0,
        answered=[
            Answered(begun_s=50.0 + number / 10, name=name, took_ms=took_ms, outcome="ok")
            for number in range(40)
            for name in ("point read", "scan")
        ]
        + [Answered(begun_s=51.0, name="write", took_ms=1.0, outcome="failed", detail="<500>")] * failures,
        readings=[
            Reading(at_s=50.0 + number, loop_lag_ms=lag_ms, memory_bytes=64 << 20, scrape_ms=1.0)
            for number in range(4)
        ],
        pool="2 process readers",
        machine_late_s=machine_late_s,
    )


@pytest.fixture(scope="module")
def page() -> str:
    runs = [
        run("workers on", took_ms=2.0, lag_ms=1.5),
        run("workers off", took_ms=400.0, lag_ms=1_200.0, failures=2),
    ]
    return render(runs, {"Machine": "2 cores & more"})


def test_the_page_leads_with_p99_and_loop_lag_of_both_runs(page: str) -> None:
    heading = re.search("<h1>(.*?)</h1>", page)
    assert heading is not None
    assert heading[1] == (
        "p99 of small requests 2.0 ms workers on, 400 ms workers off; "
        "the event loop stood still for up to 1.5 ms and 1.20 s"
    )


def test_the_page_needs_nothing_beside_it(page: str) -> None:
    references = References()
    references.feed(page)
    assert references.found == []
    assert "@import" not in page


def test_the_page_holds_a_plot_for_each_thing_that_is_compared(page: str) -> None:
    assert page.count("<svg") == page.count("</svg>") == 5


def test_both_runs_stand_beside_each_other_for_every_kind_of_request(page: str) -> None:
    rows = re.findall(
        r"<tr class='(?:apart)?'><td>(.*?)</td><td class='name (?:first|second)'>(.*?)</td>", page
    )
    assert rows == [
        ("small requests", "workers on"),
        ("", "workers off"),
        ("all requests", "workers on"),
        ("", "workers off"),
        ("point read", "workers on"),
        ("", "workers off"),
        ("scan", "workers on"),
        ("", "workers off"),
        ("write", "workers off"),
    ]


def test_what_failed_is_told_by_name_and_escaped(page: str) -> None:
    assert "<b>workers off</b>: 2 x write: &lt;500&gt;" in page


def test_a_page_without_failures_says_so_and_one_of_a_machine_that_stood_still_says_that() -> None:
    usual = run("workers on", took_ms=2.0, lag_ms=1.0)
    paused = run("workers off", took_ms=2.0, lag_ms=24_000.0, machine_late_s=24.0)
    calm = render([usual, usual], {})
    assert "No request failed" in calm
    assert "repeat the run" not in calm
    assert "stood still for up to 24.0 s: repeat the run" in render([usual, paused], {})


def test_times_are_shown_in_the_unit_that_a_reader_takes_in() -> None:
    assert [milliseconds(value) for value in (None, 0.44, 9.94, 12.3, 999.0, 1_500.0)] == [
        "-", "0.4 ms", "9.9 ms", "12 ms", "999 ms", "1.50 s",
    ]  # fmt: skip
