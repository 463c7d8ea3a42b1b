"""`dataserver serve`."""

from __future__ import annotations

from pathlib import Path

import click

from dataserver.cli.running import surroundings
from dataserver.cli.serving import run_until_stopped, server_flags, server_options, show_first_token


@click.command(name="serve")
@server_options
def command(
    *,
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    workers: str | None,
    server: str | None,
    config: Path | None,
) -> None:
    """Serve the databases of a data folder over HTTP, until SIGTERM or Ctrl-C.

    The first start prints an admin token. One server runs on a data folder; the other commands go through it.
    """
    flags = server_flags(host=host, port=port, data_dir=data_dir, workers=workers, server=server)
    around = surroundings(config, flags)
    run_until_stopped(around.settings, command="serve", greet=show_first_token)
