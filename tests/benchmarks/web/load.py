"""Drives one path of one server from a process of its own: wrk where it is installed, else our client."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

CONNECTION_COUNT = 64
_SCRIPT = Path(__file__).with_name("paths.lua")


class LoadFailed(Exception):
    """The load generator did not run, or requests failed; figures of such a run mean nothing."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What one run measured."""

    per_s: float
    p50_ms: float
    p99_ms: float


def generator(seconds: float) -> str:
    """Return the load generator for runs of so many seconds: wrk counts whole ones only."""
    if not shutil.which("wrk"):
        return "our asyncio and httptools client (wrk is not installed)"
    return "wrk" if seconds >= 1 else "our asyncio and httptools client (wrk runs no fractions of a second)"


def drive(*, port: int, template: str, key_count: int, token: str | None = None, seconds: float) -> Load:
    """Ask `template` (with `{key}` in it) over and over.

    Raises:
        LoadFailed: A request failed, or there was no answer in time.
    """
    arguments = [template, str(key_count), token or "-"]
    wrk = shutil.which("wrk")
    if wrk and seconds >= 1:
        command = [
            wrk, "-t1", f"-c{CONNECTION_COUNT}", f"-d{round(seconds)}s", "-s", str(_SCRIPT),
            f"http://127.0.0.1:{port}", "--", *arguments,
        ]  # fmt: skip
    else:
        command = [
            sys.executable, "-m", "tests.benchmarks.web.client",
            "127.0.0.1", str(port), str(seconds), str(CONNECTION_COUNT), *arguments,
        ]  # fmt: skip
    try:
        run = subprocess.run(command, capture_output=True, check=True, timeout=seconds + 40)  # noqa: S603 - our own command line
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise LoadFailed(f"{command[0]} on {template}: {error}; {error.stderr!r}") from error
    figures = msgspec.json.decode(run.stdout.splitlines()[-1])
    if figures["errors"] or not figures["requests"]:
        raise LoadFailed(f"{template}: {figures['errors']} errors in {figures['requests']} requests")
    return Load(
        per_s=figures["requests"] / figures["seconds"], p50_ms=figures["p50_ms"], p99_ms=figures["p99_ms"]
    )
