"""`dataserver serve` as an operator meets it: first start, one per folder, stop, second signal."""

from __future__ import annotations

import shutil
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from tests.support.command_line import THREADS, RunningServer, called, run, serving, start

FOREVER = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


@pytest.fixture(autouse=True)
def no_blocking_calls() -> None:
    """A command has its loop for itself, and may block it."""


def event(server: RunningServer, name: str) -> dict[str, object]:
    [found] = [each for each in server.events if each["event"] == name]
    return found


def test_the_first_start_prints_a_token_that_works_and_the_second_prints_none(tmp_path: Path) -> None:
    with serving(tmp_path, environment=THREADS) as server:
        headers = server.headers
        assert httpx2.get(f"{server.url}/v1/databases", headers=headers).status_code == 200
        assert httpx2.get(f"{server.url}/v1/databases").status_code == 401
        assert server.stop() == 0
    with serving(tmp_path, environment=THREADS) as server:
        assert httpx2.get(f"{server.url}/v1/databases", headers=headers).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        stdout, stderr = server.process.communicate()
        assert stdout == ""
        assert headers["Authorization"].split()[1] not in stderr


@pytest.mark.parametrize(
    ("number", "server_name", "workers"),
    [(signal.SIGTERM, "uvicorn", {}), (signal.SIGINT, "h2corn", THREADS)],
    ids=["SIGTERM", "SIGINT"],
)
def test_a_signal_stops_it_cleanly_and_leaves_no_write_ahead_log(
    tmp_path: Path, number: int, server_name: str, workers: dict[str, str]
) -> None:
    with serving(tmp_path, "--server", server_name, environment=workers) as server:
        headers = server.headers
        url = f"{server.url}/v1/databases/shop"
        assert httpx2.put(url, headers=headers).status_code in {200, 201}
        for sql in ("CREATE TABLE t (a INTEGER)", "INSERT INTO t VALUES (1)"):
            assert httpx2.post(f"{url}/execute", headers=headers, json={"sql": sql}).status_code == 200
        assert server.stop(number) == 0
        started, stopped = event(server, "server.started"), event(server, "server.stopped")
        for fact in ("worker_kind", "worker_count"):
            assert started[fact] == stopped[fact]
    left = sorted(path.name for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["chat.db", "global.db", "server.db", "server.lock", "shared.db", "shop.db"]


def test_a_server_that_only_reads_leaves_no_write_ahead_log_either(tmp_path: Path) -> None:
    cut_off = tmp_path / "cut off"
    with serving(tmp_path / "first", environment=THREADS) as server:
        url = "/v1/databases/shop"
        httpx2.put(f"{server.url}{url}", headers=server.headers)
        body = {"sql": "CREATE TABLE t AS SELECT 1 AS a"}
        assert httpx2.post(f"{server.url}{url}/execute", headers=server.headers, json=body).status_code == 200
        shutil.copytree(tmp_path / "first" / "data", cut_off / "data")
    assert (cut_off / "data" / "shop.db-wal").stat().st_size > 0  # what was written is there and nowhere else
    with serving(cut_off) as server:
        body = {"sql": "SELECT a FROM t"}
        answer = httpx2.post(f"{server.url}{url}/query", headers=server.headers, json=body)
        assert answer.json()["rows"] == [{"a": 1}]
        assert server.stop() == 0
    assert sorted(path.name for path in (cut_off / "data").glob("shop*")) == ["shop.db"]


def test_a_second_server_on_the_folder_is_refused_and_told_who_the_first_is(tmp_path: Path) -> None:
    with serving(tmp_path, environment=THREADS) as server:
        refused = called("serve", "--data-dir", tmp_path, "--port", "0")
        assert refused.returncode == 1
        assert f"pid {server.process.pid}" in refused.stderr
        assert "one server per data folder" in refused.stderr
        assert refused.stdout == ""
        assert f"pid {server.process.pid} {server.url}" in called("doctor", "--data-dir", tmp_path).stdout
        assert httpx2.get(f"{server.url}/healthz").status_code == 200


def test_a_server_that_was_killed_leaves_a_folder_that_serves_again(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        server.process.kill()
        server.process.wait()
    assert (tmp_path / "server.sock").exists()
    assert called("token", "list", "--data-dir", tmp_path).returncode == 0
    with serving(tmp_path, environment=THREADS) as server:
        assert server.stop() == 0


@pytest.mark.parametrize(("server_name", "workers"), [("uvicorn", "process"), ("h2corn", "thread")])
def test_a_second_signal_stops_what_a_first_one_lets_end(
    tmp_path: Path, server_name: str, workers: str
) -> None:
    with (
        serving(
            tmp_path,
            "--server",
            server_name,
            "--workers",
            workers,  # on the loop, the endless query would not let the signal in
            environment={"DATASERVER_DRAIN_S": "3600"},
        ) as server,
        ThreadPoolExecutor(1) as pool,
    ):
        assert server.process.stderr is not None
        headers = server.headers
        httpx2.put(f"{server.url}/v1/databases/shop", headers=headers)
        endless = pool.submit(_answer_or_none, server)
        metrics = f"{server.url}/metrics"
        while (
            "dataserver_http_open_requests 2" not in httpx2.get(metrics, headers=headers).text
        ):  # it and this one
            assert not endless.done()
        server.process.send_signal(signal.SIGTERM)
        while "server.stopping" not in server.process.stderr.readline():
            assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        assert "what ran was cancelled" in server.process.stderr.read()  # it came to its end by itself
        assert server.wait() == 1
        assert endless.result() != 200


def _answer_or_none(server: RunningServer) -> int | None:
    url = f"{server.url}/v1/databases/shop/query"
    try:
        return httpx2.post(url, headers=server.headers, json={"sql": FOREVER}, timeout=30).status_code
    except httpx2.HTTPError:
        return None


def test_workers_that_are_off_are_said_loudly(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "off") as server:
        assert server.stop() == 0
    assert event(server, "server.started")["worker_kind"] == "inline"
    assert event(server, "storage.workers_off")["level"] == "warning"


def test_file_environment_and_flags_are_heeded_in_this_order(tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("[storage]\nworker_count = 1\nuse_workers = false\nwriter_count = 2\n")
    environment = {"SQLITE_WORKER_COUNT": "3", "SQLITE_WORKER_KIND": "process"}
    with serving(
        tmp_path / "data", "--config", config, "--workers", "thread", environment=environment
    ) as server:
        assert server.stop() == 0
    started = event(server, "server.started")
    assert [started[fact] for fact in ("worker_kind", "worker_count", "writer_count")] == ["thread", 3, 2]


def test_a_mistake_in_the_file_is_wrong_use(tmp_path: Path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text("[storage]\nworkers = 1\n")
    refused = called("serve", "--data-dir", tmp_path / "data", "--config", config)
    assert refused.returncode == 2
    assert "storage.workers is not a setting" in refused.stderr


def test_a_port_that_is_taken_is_a_failure_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        failed = run("serve", "--data-dir", tmp_path, "--port", port, environment=THREADS)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert "in use" in failed.stderr


def test_a_server_does_not_start_into_a_folder_that_a_command_works_on(tmp_path: Path) -> None:
    big = tmp_path / "big.csv"
    big.write_text("a\n" + "1\n" * 60_000)
    folder = tmp_path / "data"
    importing = start(
        "import", "csv", big, "shop", "t", "--data-dir", folder, environment={"DATASERVER_LOG_LEVEL": "debug"}
    )
    assert importing.stderr is not None
    while "import.batch_stored" not in importing.stderr.readline():
        assert importing.poll() is None
    importing.send_signal(signal.SIGSTOP)  # it holds the folder, and is not done before it was asked
    refused = called("serve", "--data-dir", folder, "--port", "0")
    importing.kill()
    importing.communicate()
    assert refused.returncode == 1
    assert f"`dataserver import` (pid {importing.pid})" in refused.stderr
