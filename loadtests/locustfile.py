"""The load for Locust: `locust -f loadtests/locustfile.py --host URL --users 40 --rate 200` with DATASERVER_TOKEN set.

Each visitor keeps a fixed rate, below what the server can do: a load that waits for the server before it asks again
hides the very stalls it is meant to show. What is answered late makes a visitor late too, so the report shows the rate
that was reached beside the one that was offered.
"""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent
import msgspec
from locust import FastHttpUser, constant_throughput, events
from typing_extensions import override

from loadtests.api import Api
from loadtests.outcomes import outcome_of
from loadtests.plan import WRITTEN_DATABASE, Plan, survey
from loadtests.samples import Answered, write_lines
from loadtests.scenarios import SCENARIOS, Scenario

if TYPE_CHECKING:
    from collections.abc import Callable

_SEED = 20_261_123


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]  # locust's own
def _add_options(parser: Any) -> None:
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second, all visitors together")
    parser.add_argument("--samples", default="", help="where to write one line of JSON for each request")


@events.init.add_listener  # type: ignore[untyped-decorator]  # locust's own
def _set_rate(environment: Any, **_: Any) -> None:
    environment.answered = []
    options = environment.parsed_options
    if options is not None:
        Visitor.wait_time = constant_throughput(options.rate / max(1, options.num_users or 1))
        Visitor.start_within_s = max(1, options.num_users or 1) / options.rate


@events.test_start.add_listener  # type: ignore[untyped-decorator]  # locust's own
def _survey(environment: Any, **_: Any) -> None:
    Visitor.plan = survey(Api(environment.host, _token()))


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # locust's own
def _write_samples(environment: Any, **_: Any) -> None:
    if environment.parsed_options.samples:
        write_lines(Path(environment.parsed_options.samples), environment.answered)
    Api(environment.host, _token()).ask("DELETE", f"/v1/databases/{WRITTEN_DATABASE}")


def _token() -> str:
    return os.environ["DATASERVER_TOKEN"]


def _visit(scenario: Scenario) -> Callable[[Visitor], None]:
    def visit(visitor: Visitor) -> None:
        visitor.ask(scenario)

    visit.__name__ = scenario.name.replace(" ", "_")
    return visit


class Visitor(FastHttpUser):
    """Somebody who asks for one thing after the other, at a steady pace."""

    plan: Plan
    start_within_s = 0.0
    connection_timeout = 30.0
    network_timeout = 30.0
    tasks = [  # noqa: RUF012 - locust's own way: one of them is drawn for each turn
        visit for scenario in SCENARIOS for visit in [_visit(scenario)] * scenario.weight
    ]

    @override
    def on_start(self) -> None:
        """Begin at a time of its own, so that visitors do not march in step."""
        number = len(self.environment.runner.user_greenlets)
        self._random = Random(_SEED + number)  # noqa: S311 - a load, not a secret
        gevent.sleep(self._random.random() * self.start_within_s)

    def ask(self, scenario: Scenario) -> None:
        """Send one request of the scenario and note how it went."""
        ask = scenario.ask(self.plan, self._random)
        if ask is None:
            return
        begun_s = monotonic()
        with self.client.request(
            ask.method,
            ask.path,
            name=scenario.name,
            json=ask.json,
            headers={"Authorization": f"Bearer {_token()}"},
            catch_response=True,
        ) as response:
            took_ms = (monotonic() - begun_s) * 1e3
            outcome, detail = outcome_of(
                status=response.status_code or 0,
                error_code=_error_code(response),
                retry_after=response.headers.get("Retry-After") if response.headers else None,
            )
            if outcome == "failed":
                response.failure(detail)
            else:
                response.success()
        self.environment.answered.append(
            Answered(begun_s=begun_s, name=scenario.name, took_ms=took_ms, outcome=outcome, detail=detail)
        )


def _error_code(response: Any) -> str:
    if response.error is not None and not response.status_code:
        return repr(response.error)
    if response.status_code < 400:  # noqa: PLR2004 - from here on HTTP speaks of errors
        return ""
    try:
        code: str = msgspec.json.decode(response.content or b"")["error"]["code"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""
    return code
