"""What operators and tools ask for."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dataserver.routes import ROUTES
from tests.support.http import FOREVER, LIMIT_S, WAYS, Base, House, error_of


def test_health_is_told_to_everybody_with_kind_and_number_of_workers(house: House) -> None:
    answer = house.client.get("/healthz", headers={"authorization": ""}).json()
    kind = "inline" if house.workers == "off" else house.workers
    assert answer["status"] == "ok"
    assert {name: pool["kind"] for name, pool in answer["workers"].items()} == {
        "readers": kind,
        "writers": kind,
    }
    assert all(pool["worker_count"] >= 1 for pool in answer["workers"].values())


def test_a_server_that_serves_is_ready(house: House) -> None:
    assert house.client.get("/readyz").json() == {"status": "ready"}


def test_metrics_are_prometheus_text_and_count_what_happened(base: Base) -> None:
    before = base.house.metric("dataserver_http_request_seconds_count", status="404")
    base.get("/tables/t/rows/99")
    assert base.house.metric("dataserver_http_request_seconds_count", status="404") == before + 1
    answer = base.house.client.get("/metrics")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    for name in (
        "http_request_seconds", "http_open_requests", "http_sent_body_bytes", "event_loop_lag_seconds",
        "event_loop_lag_worst_seconds", "memory_pss_bytes", "processes", "pool_info", "pool_workers", "pool_waiting",
        "pool_in_flight", "pool_rejected", "pool_restarts", "pool_interrupted", "pool_wait_seconds", "pool_run_seconds",
        "storage_wal_bytes", "storage_wal_largest_bytes", "storage_oldest_reader_seconds", "storage_held_reads",
        "storage_reads_ended", "storage_checkpoints",
    ):  # fmt: skip
        assert families[f"dataserver_{name}"].documentation
    (lag_count,) = [
        sample.value
        for sample in families["dataserver_event_loop_lag_seconds"].samples
        if sample.name.endswith("_count")
    ]
    assert lag_count > 0
    assert base.house.metric("dataserver_memory_pss_bytes") > 10_000_000
    assert base.house.metric("dataserver_storage_wal_bytes") > 0


def test_no_metric_carries_what_a_client_chose(base: Base) -> None:
    base.house.client.get("/some/path/of/mine")
    base.get("/tables/t/rows?name=secret")
    text = base.house.client.get("/metrics").text
    assert not any(word in text for word in ("of/mine", "secret", base.name))


def test_the_description_names_every_route(house: House) -> None:
    found = house.client.get("/openapi.json").json()
    assert {f"{method.upper()} {path}" for path, methods in found["paths"].items() for method in methods} == {
        route.label for route in ROUTES
    }


def test_the_page_needs_nothing_from_elsewhere(house: House) -> None:
    answer = house.client.get("/docs", headers={"authorization": ""})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"(?:src|href)=\"?https?:", answer.text)


def test_the_event_loop_turns_while_a_query_runs(base: Base) -> None:
    if base.house.workers == "off":
        pytest.skip("without workers a query holds the loop: that is what the flag gives up")
    lag = "dataserver_event_loop_lag_seconds_count"
    with base.house.connection() as connection:
        body = b'{"sql": "%b"}' % FOREVER.encode()
        connection.sendall(base.house.request_bytes("POST", f"{base.path}/query?timeout_ms=5000", body))
        base.house.until("dataserver_http_open_requests", 2)
        before = base.house.metric(lag)
        while base.house.metric(lag) < before + 5:
            assert base.get("/tables/t/rows/1").status_code == 200
    base.house.until("dataserver_http_open_requests", 1)


def test_an_unknown_page_is_an_error_like_any_other(house: House) -> None:
    assert error_of(house.client.get("/favicon.ico"))["code"] == "route_not_found"


@pytest.mark.parametrize("house", [WAYS["uvicorn-process"], WAYS["uvicorn-off"]], ids=str, indirect=True)
def test_the_operator_is_told_how_storage_stands_and_what_was_slow(base: Base) -> None:
    base.execute("UPDATE t SET age = 5")
    slow = "SELECT count(*) FROM t a, (WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT i FROM n)"
    base.query(slow, [3_000_000])

    def told() -> tuple[dict[str, Any], dict[str, Any]]:
        deadline = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline:
            answer = base.house.client.get("/v1/admin/storage").json()
            for one in answer["slow_queries"]:
                if one["database"] == base.name and one["plan"]:  # which is found out afterwards
                    return answer, one
        raise AssertionError("it is never told")

    answer, found = told()
    assert found["sql"] == slow
    assert any(step.startswith("SCAN a") for step in found["plan"])
    assert found["worst_ms"] >= found["run_ms"] > 250
    assert "3000000" not in json.dumps(answer["slow_queries"])
    assert [pool["name"] for pool in answer["pools"]] == ["readers", "writers"]
    assert base.name in [log["database"] for log in answer["logs"]["databases"]]
    assert answer["logs"]["wal_bytes"] > 0
    assert answer["queued"]["waiting_count"] == answer["maintenance"]["waiting_count"] == 0
