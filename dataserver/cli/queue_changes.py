"""`dataserver queue FILE retry|cancel`: what a person does to actions, told truly, each by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import click

from chat import ActionNotFound, ActionQueue, Cancelled, ChatError, NotPossible
from dataserver.cli.output import is_terminal, write_json
from dataserver.cli.queue_files import QueueFile
from dataserver.cli.running import run_to_end, say, stop_with

_ANSWER_S = 10.0


@click.command()
@click.argument("client_ids", metavar="[ID]...", nargs=-1)
@click.option("--failed", is_flag=True, help="Instead of IDs: all that failed.")
@click.option("--type", "type_name", metavar="TYPE", help="With --failed: only actions of this type.")
@click.option("--account", help="With --failed: only actions of this account.")
@click.pass_obj
def retry(
    file: QueueFile, client_ids: tuple[str, ...], *, failed: bool, type_name: str | None, account: str | None
) -> None:
    """Try the actions ID again from the beginning, now; they keep their places."""
    if failed == bool(client_ids):
        raise click.UsageError("give the IDs of actions, or --failed")
    if not failed and (type_name or account):
        raise click.UsageError("--type and --account go with --failed")

    async def main() -> None:
        async with file.take_part() as queue:
            if failed:
                count = await queue.retry_failed(account=account, type_name=type_name)
                if not is_terminal():
                    write_json({"retried": count})
                say(f"{count} actions are tried again")
                return
            await _each(client_ids, lambda client_id: _retried(queue, client_id))

    run_to_end(main, ChatError)


@click.command()
@click.argument("client_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--redact/--no-redact", default=True, help="Delete a message again for which it is too late.")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0, min_open=True),
    default=_ANSWER_S,
    show_default=True,
    help="Seconds for whoever delivers an action to answer.",
)
@click.pass_obj
def cancel(file: QueueFile, client_ids: tuple[str, ...], *, redact: bool, wait_s: float) -> None:
    """Take the actions ID back, and say of each whether it was in time; exit code 1 if one was not."""

    async def cancelled(queue: ActionQueue, client_id: str) -> tuple[str, bool]:
        with anyio.move_on_after(wait_s):
            answer = await queue.cancel(client_id, redact=redact)
            return answer, answer is not Cancelled.TOO_LATE
        return "asked, and nobody has answered: what delivers it is not running, or hangs", False

    async def main() -> None:
        async with file.take_part() as queue:
            await _each(client_ids, lambda client_id: cancelled(queue, client_id))

    run_to_end(main, ChatError)


async def _retried(queue: ActionQueue, client_id: str) -> tuple[str, bool]:
    await queue.retry(client_id)
    return "queued", True


async def _each(client_ids: tuple[str, ...], change: Callable[[str], Awaitable[tuple[str, bool]]]) -> None:
    """Change each action; say what came of it, and leave with exit code 1 if one was not changed."""
    outcomes: list[dict[str, Any]] = []
    is_done = True
    for client_id in client_ids:
        try:
            outcome, was_changed = await change(client_id)
        except (ActionNotFound, NotPossible) as error:
            outcome, was_changed = str(error), False
        is_done = is_done and was_changed
        outcomes.append({"client_id": client_id, "outcome": outcome})
        say(f"{client_id}: {outcome}")
    if not is_terminal():
        write_json(outcomes)
    if not is_done:
        stop_with(1)
