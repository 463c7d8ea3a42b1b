"""`dataserver demo`: real tables in a folder of their own, and a server on them."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import msgspec

from dataserver.cli.running import failing_in_words, say, surroundings
from dataserver.cli.serving import run_until_stopped, server_flags, server_options
from dataserver.commands import CommandFailed, House
from dataserver.demo import NoDemoData, Provision, fill, folder_beside_checkout, provision, renew_token
from dataserver.door import DirectDoor
from dataserver.imports.order import ImportRefused
from dataserver.imports.records import UnreadableFile
from dataserver.lifecycle import Greeting
from workers import SystemClock

_DATA_DIR = Path(".demo")


@click.command(name="demo")
@server_options
@click.option(
    "--source", type=click.Path(path_type=Path), help="A folder of real data, instead of ../shared/data."
)
def command(
    *,
    host: str | None,
    port: int | None,
    data_dir: Path | None,
    workers: str | None,
    server: str | None,
    config: Path | None,
    source: Path | None,
) -> None:
    """Fill a data folder (.demo unless --data-dir says otherwise) with real tables and serve it.

    Run again, it adds what is missing and prints a new token; the last demo's token is revoked.
    """
    flags = server_flags(host=host, port=port, data_dir=data_dir or _DATA_DIR, workers=workers, server=server)
    around = surroundings(config, flags)
    with failing_in_words(NoDemoData):
        wanted = provision(source if source is not None else folder_beside_checkout())
    work_folder = around.folder.root
    tokens: list[str] = []

    async def prepare(house: House) -> None:
        door = DirectDoor(house)
        say(f"tables come from {wanted.origin}")
        await fill(door, wanted, work_folder=work_folder, clock=SystemClock(), say=say)
        tokens.append(await renew_token(door))

    def greet(greeting: Greeting) -> None:
        [token] = tokens
        click.echo(token)
        say(f"\nThe admin token is {token}; try:\n\n{_curl(greeting.address.url, token, wanted)}\n")

    run_until_stopped(
        around.settings,
        CommandFailed,
        ImportRefused,
        UnreadableFile,
        command="demo",
        greet=greet,
        prepare=prepare,
    )


def _curl(url: str, token: str, wanted: Provision) -> str:
    body = msgspec.json.encode({"sql": wanted.try_sql}).decode()
    return (
        f"curl -s {url}/v1/databases/{wanted.try_database}/query \\\n"
        f"  -H {shlex.quote(f'Authorization: Bearer {token}')} -H 'Content-Type: application/json' \\\n"
        f"  -d {shlex.quote(body)}"
    )
