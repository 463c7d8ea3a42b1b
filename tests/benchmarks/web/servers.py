"""Servers that are compared, each in a process group of its own on a copy of the file of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from loadtests.running_server import RunningServer, free_port

_NODE_INSTALL_S = 400.0
_NODE_PACKAGES = ("fastify@5", "better-sqlite3@12")


@dataclass(kw_only=True)
class Contender(RunningServer):
    """A server with the paths that a load asks, `{key}` in them, and the token it wants."""

    row: str = "/"
    page: str = "/"
    token: str | None = None


def ours(file: Path, server: str, workers: str = "process") -> Contender:
    """Return this project's server on a data folder that holds `file`, with a token of its own.

    `workers` is the kind of its pool, or `off`.
    """
    folder = file.parent
    (folder / "data").mkdir()
    file.rename(folder / "data" / file.name)
    program = [sys.executable, "-m", "dataserver"]
    made = subprocess.run(  # noqa: S603 - our own command line
        [*program, "token", "create", "--role", "admin", "--data-dir", str(folder)],
        capture_output=True,
        check=True,
        timeout=60,
        text=True,
    )
    port = free_port()
    rows = f"/v1/databases/{file.stem}/tables/items/rows"
    return Contender(
        name=f"ours on {server}",
        command=[
            *program, "serve", "--data-dir", str(folder), "--host", "127.0.0.1", "--port", str(port),
            "--server", server, "--workers", workers,
        ],
        port=port,
        row=rows + "/{key}",
        page=rows + "?limit=50&id__gt={key}",
        token=made.stdout.strip(),
        environment={"DATASERVER_LOG_LEVEL": "warning"},
    )  # fmt: skip


def empty(server: str) -> Contender:
    """Return the server of that name with an application that does nothing."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.web.empty_app", server, str(port)]
    return Contender(name=f"{server}, empty answer", command=command, port=port)


def starlette(file: Path, way: str) -> Contender:
    """Return Starlette with aiosqlite on uvicorn; `way` is `cursor` or `fetchall`."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.web.starlette_peer", str(file), str(port), way]
    return Contender(
        name="Starlette+aiosqlite", command=command, port=port, row="/rows/{key}", page="/rows?after={key}"
    )


def datasette(file: Path) -> Contender | str:
    """Return Datasette, or why it cannot run here. Its counts and facets are switched off: nobody else has them."""
    port = free_port()
    program = Path(sys.executable).with_name("datasette")
    if not program.exists():
        return "Datasette is not installed"
    command = [
        str(program), "serve", str(file), "--port", str(port),
        "--setting", "suggest_facets", "off", "--setting", "default_cache_ttl", "0",
    ]  # fmt: skip
    table = f"/{file.stem}/items"
    return Contender(
        name="Datasette",
        command=command,
        port=port,
        row=table + "/{key}.json?_shape=objects",
        page=table + ".json?_size=50&_shape=objects&_nocount=1&_nofacet=1&_next={key}",
    )


def fastify(file: Path, *, install: bool) -> Contender | str:
    """Return Fastify with better-sqlite3, or why it cannot run here; its packages stay out of the repository."""
    node = shutil.which("node")
    if node is None:
        return "Node is not installed"
    modules = Path(tempfile.gettempdir()) / "dataserver-benchmark-node"
    if not _node_packages_load(node, modules):
        if not install:
            return "Fastify is not installed; a full run installs it"
        if reason := _install_node_packages(modules):
            return reason
        if not _node_packages_load(node, modules):
            return "better-sqlite3 has no binary for this Node and did not compile"
    port = free_port()
    script = Path(__file__).with_name("fastify_peer.js")
    return Contender(
        name="Fastify+better-sqlite3",
        command=[node, str(script), str(file), str(port)],
        port=port,
        row="/rows/{key}",
        page="/rows?after={key}",
        environment={"NODE_PATH": str(modules / "node_modules")},
    )


def _node_packages_load(node: str, modules: Path) -> bool:
    probe = "require('fastify'); new (require('better-sqlite3'))(':memory:')"
    environment = {**os.environ, "NODE_PATH": str(modules / "node_modules")}
    command = [node, "-e", probe]
    try:
        run = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=30)  # noqa: S603 - our own command line
    except subprocess.TimeoutExpired:
        return False
    return run.returncode == 0


def _install_node_packages(modules: Path) -> str:
    npm = shutil.which("npm")
    if npm is None:
        return "npm is not installed"
    modules.mkdir(exist_ok=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(modules), *_NODE_PACKAGES]
    try:
        run = subprocess.run(  # noqa: S603 - our own command line
            command, capture_output=True, check=False, timeout=_NODE_INSTALL_S
        )
    except subprocess.TimeoutExpired:
        return f"npm install took more than {_NODE_INSTALL_S:g} s"
    return "" if run.returncode == 0 else f"npm install failed: {run.stderr[-300:].decode(errors='replace')}"
