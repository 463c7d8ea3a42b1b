"""What a load runs against ends with the load, however that ends."""

from __future__ import annotations

import os
import select
import subprocess
import sys

import pytest

LIMIT_S = 20
STARTS_A_SERVER = """
import sys
from loadtests.running_server import RunningServer, free_port

port = free_port()
command = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]
with RunningServer(name="files", command=command, port=port) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part in it is Linux's")
def test_a_server_ends_when_what_started_it_is_killed() -> None:
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, "-c", STARTS_A_SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as load:
        assert load.stdout is not None
        server = os.pidfd_open(int(load.stdout.readline()))
        try:
            load.kill()
            ended, _, _ = select.select([server], [], [], LIMIT_S)
            assert ended == [server]
        finally:
            os.close(server)
