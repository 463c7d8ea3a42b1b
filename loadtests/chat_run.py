"""The chat under load, once, on a server of its own: `python -m loadtests.chat_run`; the report is Locust's own page."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from loadtests.running_server import RunningServer, free_port

_HERE = Path(__file__).parent
_BESIDE_RUN_S = 120.0


def main(arguments: list[str]) -> int:
    """Run it, and return Locust's exit code: 1 if anything failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--users", type=int, default=100, help="half over HTTP, half over WebSockets")
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second, all together")
    parser.add_argument("--followers", type=int, default=5, help="who hear what all send")
    asked = parser.parse_args(arguments)
    report = _HERE / "report" / f"chat-{time.strftime('%Y%m%d-%H%M%S')}.html"
    report.parent.mkdir(exist_ok=True)
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="dataserver-load-") as folder:
        serve = [sys.executable, "-m", "dataserver", "serve", "--data-dir", folder, "--port", str(port)]
        with RunningServer(name="dataserver serve", command=serve, port=port) as server:
            command = [
                sys.executable, "-m", "locust", "-f", str(_HERE / "chat.py"), "--headless", "--only-summary",
                "--host", server.url, "--users", str(asked.users), "--spawn-rate", str(asked.users),
                "--run-time", f"{asked.seconds}s", "--rate", str(asked.rate), "--followers", str(asked.followers),
                "--html", str(report), "--loglevel", "WARNING",
            ]  # fmt: skip
            limit_s = asked.seconds + _BESIDE_RUN_S
            ran = subprocess.run(command, cwd=_HERE.parent, check=False, timeout=limit_s)  # noqa: S603 - our own command line
    print(f"report: {report}")
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
