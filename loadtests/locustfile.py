"""The load for Locust: `locust -f loadtests/locustfile.py --host URL --users 40 --rate 200` with DATASERVER_TOKEN set.

Each visitor keeps a fixed rate, below what the server can do: a load that waits for the server before it asks again
hides the very stalls it is meant to show. What is answered late makes a visitor late too, so the report shows the rate
that was reached beside the one that was offered.
"""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import gevent
import msgspec
from locust import FastHttpUser, constant_throughput, events, task
from typing_extensions import override

from loadtests.api import Api
from loadtests.outcomes import outcome_of
from loadtests.plan import WRITTEN_DATABASE, Plan, survey
from loadtests.samples import Answered, write_lines
from loadtests.scenarios import SCENARIOS

_SEED = 20_261_123
_WEIGHTS = [scenario.weight for scenario in SCENARIOS]


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]  # locust's own
def _add_options(parser: Any) -> None:
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second, all visitors together")
    parser.add_argument("--samples", default="", help="where to write one line of JSON for each request")


@events.init.add_listener  # type: ignore[untyped-decorator]  # locust's own
def _prepare(environment: Any, **_: Any) -> None:
    """Set the pace and ask the server what it holds, before the clock of the run starts."""
    environment.answered = []
    options = environment.parsed_options
    visitor_count = max(1, options.num_users or 1)
    Visitor.wait_time = constant_throughput(options.rate / visitor_count)
    Visitor.start_within_s = visitor_count / options.rate
    Visitor.plan = survey(Api(environment.host or options.host, _token()))


@events.user_error.add_listener  # type: ignore[untyped-decorator]  # locust's own
def _note_error(user_instance: Any, exception: Exception, **_: Any) -> None:
    failed = Answered(
        begun_s=monotonic(), name="visitor", took_ms=0.0, outcome="failed", detail=repr(exception)
    )
    user_instance.environment.answered.append(failed)


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # locust's own
def _write_samples(environment: Any, **_: Any) -> None:
    if environment.parsed_options.samples:
        write_lines(Path(environment.parsed_options.samples), environment.answered)
    Api(environment.host or environment.parsed_options.host, _token()).ask(
        "DELETE", f"/v1/databases/{WRITTEN_DATABASE}"
    )


def _token() -> str:
    return os.environ["DATASERVER_TOKEN"]


class Visitor(FastHttpUser):
    """Somebody who asks for one thing after the other, at a steady pace; in every run for the same things."""

    plan: Plan
    start_within_s = 0.0
    connection_timeout = 30.0
    network_timeout = 30.0
    numbers = count()

    @override
    def on_start(self) -> None:
        """Begin at a time of its own, so that visitors do not march in step."""
        self._random = Random(_SEED + next(self.numbers))  # noqa: S311 - a load, not a secret
        gevent.sleep(self._random.random() * self.start_within_s)

    @task
    def visit(self) -> None:
        """Send one request of the mix and note how it went."""
        (scenario,) = self._random.choices(SCENARIOS, _WEIGHTS)
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
            broken = getattr(response, "error", None)  # locust's stand-in for an answer that never came
            outcome, detail = outcome_of(
                status=0 if broken else response.status_code,
                error_code=repr(broken) if broken else _error_code(response),
                retry_after=None if broken else response.headers.get("Retry-After"),
            )
            if outcome == "failed":
                response.failure(detail)
            else:
                response.success()
        self.environment.answered.append(
            Answered(begun_s=begun_s, name=scenario.name, took_ms=took_ms, outcome=outcome, detail=detail)
        )


def _error_code(response: Any) -> str:
    if response.status_code < 400:  # noqa: PLR2004 - from here on HTTP speaks of errors
        return ""
    try:
        code: str = msgspec.json.decode(response.content or b"")["error"]["code"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return ""
    return code
