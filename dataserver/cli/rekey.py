"""`dataserver rekey NAME --to PLACE`: encrypt a database, give it another key, or decrypt it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from dataserver.cli.running import folder_options, quiet_surroundings, run_to_end, say
from dataserver.cli.steps import shown
from dataserver.commands import Step
from dataserver.folder import hold
from dataserver.key_places import ALLOWED, KeyPlace, key_sources
from dataserver.setting_values import Refused
from storage import Rekeyed, rekey
from workers import KeySource, KeySourceRefused

_IN_THE_CLEAR = "none"


@click.command(name="rekey")
@click.argument("what", metavar="NAME|FILE")
@click.option("--to", "new", required=True, help=f"Where the new key is: {ALLOWED}; `none` decrypts.")
@click.option("--from", "old", help="Where the old one is, or `none`; by default as the settings say.")
@folder_options
def command(*, what: str, new: str, old: str | None, data_dir: Path | None, config: Path | None) -> None:
    """Give a database of the data folder, `chat.db`, `server.db`, a backup by its name, or any database file another key.

    No server may run. Stopped in the middle, even by force, the file is whole and has the old key or the new one; the same
    command again finds out which. Change the setting `storage.keys` afterwards. Backups keep the key that they were made
    with: give it as --from to rekey one.
    """
    around = quiet_surroundings(config, {"server.data_dir": data_dir})
    file = around.folder.file(what)
    keys = around.settings.storage.keys
    name = file.name if around.folder.names_file(what) else what
    given = keys.get(name) or (None if file.parent != around.folder.databases else keys.get("*"))
    places = {name: text for name, text in (("new", new), ("old", old)) if text not in {None, _IN_THE_CLEAR}}
    try:
        sources = key_sources({name: KeyPlace.read(text) for name, text in places.items()}, os.environ)
    except Refused as refused:
        raise click.UsageError(f"--to and --from take {refused} or `none`") from refused
    except KeySourceRefused as refused:
        raise click.ClickException(str(refused)) from refused
    done: list[Rekeyed] = []
    before: KeySource | None = given if old is None else sources.get("old")

    async def main() -> None:
        with hold(around.folder, command="rekey"), shown(f"copying {what}") as show:

            def tell(done_count: int, total_count: int | None, _note: str) -> None:
                show(Step(done_count, total_count))

            done.append(
                await rekey(
                    file, around.settings.storage, old=before, new=sources.get("new"), on_progress=tell
                )
            )

    run_to_end(main)
    _tell(what, new, name=name, had_it_already=done[0].had_it_already)


def _tell(what: str, new: str, *, name: str, had_it_already: bool) -> None:
    state = "is in the clear" if new == _IN_THE_CLEAR else "has the new key"
    say(f"{what} {state}{' already' if had_it_already else ' now'}")
    if new == _IN_THE_CLEAR:
        say(f"take {name} out of the setting storage.keys")
    else:
        say(f"the setting storage.keys (DATASERVER_KEYS) has to say {name}={new}")
