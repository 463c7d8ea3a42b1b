"""What crosses from a worker to a caller names no path, secret or other people's value; the log has the traceback."""

from __future__ import annotations

import pickle
import traceback
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from structlog.testing import capture_logs

from tests.support.leaky_services import SECRETS, Account, Declined
from workers import (
    BridgeSettings,
    InvalidParameters,
    InvalidResult,
    Kind,
    ServiceUnavailable,
    TaskFailed,
    UnknownMethod,
    open_bridges,
)

if TYPE_CHECKING:
    from workers.bridges.own import ServiceBridge

SERVICE = "tests.support.leaky_services:LeakyService"
LIMIT_S = 20.0


@pytest.fixture(params=["inline", "thread", "process"])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


def everything_in(error: BaseException) -> str:
    """Return all that a caller could show of an error: texts, attributes, causes, traceback, pickle."""
    shown = traceback.format_exception(error)
    seen: list[BaseException] = [error]
    for each in seen:
        shown += [str(each), repr(each), repr(each.args), repr(vars(each)), repr(pickle.dumps(each.args))]
        seen += [
            cause for cause in (each.__cause__, each.__context__) if cause is not None and cause not in seen
        ]
    return "\n".join(shown)


async def failure(bridge: ServiceBridge, method: str, params: Any = None) -> BaseException:
    try:
        with await bridge.request(method, params, Account | None):  # type: ignore[arg-type]  # a union is a type to msgspec
            pytest.fail(f"{method} gave a result")
    except Exception as error:  # noqa: BLE001 - the tests look at it
        return error


CASES: list[tuple[str, Any, type[Exception]]] = [
    ("missing_file", None, TaskFailed),
    ("failed_query", "x", TaskFailed),
    ("wrapped", None, Declined),
    ("wrong_result", None, InvalidResult),
    ("unencodable", None, TaskFailed),
    ("group", None, TaskFailed),
    ("named_after", None, TaskFailed),
    ("takes_account", {"number": SECRETS[1], "name": SECRETS[2]}, InvalidParameters),
    ("takes_account", [SECRETS[0]], InvalidParameters),
    ("__init__", None, UnknownMethod),
]


async def test_no_error_tells_a_caller_what_it_may_not_know(kind: Kind) -> None:
    with anyio.fail_after(LIMIT_S):
        async with open_bridges(BridgeSettings(kind=kind)) as bridges:
            bridge = bridges.service(SERVICE)
            for method, params, expected in CASES:
                error = await failure(bridge, method, params)
                assert type(error) is expected, (method, error)
                shown = everything_in(error)
                assert [secret for secret in SECRETS if secret in shown] == [], method
                assert "leaky_services.py" not in shown, method


async def test_the_log_has_the_traceback_of_what_was_not_meant(kind: Kind) -> None:
    with capture_logs() as logged, anyio.fail_after(LIMIT_S):
        async with open_bridges(BridgeSettings(kind=kind)) as bridges:
            bridge = bridges.service(SERVICE)
            for method in ("missing_file", "group", "wrapped"):
                await failure(bridge, method)
    told = [each for each in logged if each["event"] == "workers.task_failed"]
    assert [each["method"] for each in told] == ["missing_file", "group"]
    assert SECRETS[0] in told[0]["traceback"]
    assert "leaky_services.py" in told[0]["traceback"]


async def test_what_keeps_a_service_from_being_built_is_in_the_log_and_only_its_type_reaches_a_caller(
    kind: Kind,
) -> None:
    with capture_logs() as logged, anyio.fail_after(LIMIT_S):
        async with open_bridges(BridgeSettings(kind=kind)) as bridges:
            told = []
            for option in ("is_missing", "is_declined"):
                bridge = bridges.service(SERVICE, name=option, options={option: True})
                error = await failure(bridge, "takes_account", Account(1, "ann"))
                shown = everything_in(error)
                assert (type(error), [secret for secret in SECRETS if secret in shown]) == (
                    ServiceUnavailable,
                    [],
                )
                assert "leaky_services.py" not in shown
                told.append(str(error))
    assert [text.partition(" could not be built: ")[2] for text in told] == [
        "FileNotFoundError; the log has more",
        "Declined: there is no account; the log has more",
    ]
    noted = [each for each in logged if each["event"] == "workers.service_not_built"]
    assert {each["service"] for each in noted} == {SERVICE}
    assert {SECRETS[0] in each["traceback"] for each in noted} == {True, False}
