"""A bot that answers each message that begins with `!echo ` by what comes behind that.

    python -m chat.examples.echo_bot URL STORE NAME        (the password is read from stdin)

It answers each message once, though it may be killed at any moment: its answer's client id is made of the message's id,
so an answer that was given before is the same one. What was written while it was away comes when it is back.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

import anyio

from chat.client.client import Client
from chat.client.events import MessageChanged

if TYPE_CHECKING:
    from chat.client.events import ClientEvent
    from chat.client.views import ChatMessage

ORDER: Final = "!echo "


class EchoBot:
    """Answers in the name of one logged-in client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def run(self) -> None:
        """Answer until cancelled."""
        heard = self._client.events()
        try:
            async for event in heard:
                self.heed(event)
        finally:
            heard.close()

    def heed(self, event: ClientEvent) -> None:
        """Answer what asks for it."""
        if isinstance(event, MessageChanged) and event.kind == "message.created":
            answer = answer_to(event.message, self._client.user_id)
            if answer is not None:
                self._client.send(
                    event.room_id, answer, reply_to=event.message.id, client_id=f"echo-{event.message.id}"
                )


def answer_to(message: ChatMessage, me: str) -> str | None:
    """Return what to answer, None if nothing is asked; never to itself."""
    if message.sender == me or message.content is None or not message.content.startswith(ORDER):
        return None
    return message.content.removeprefix(ORDER) or None


async def main(url: str, store: str, name: str) -> None:
    """Run the bot until it is stopped."""
    async with Client(url, store=store) as client:
        if not client.is_logged_in:
            await client.login(name, sys.stdin.readline().rstrip("\n"), device="echo bot")
        await EchoBot(client).run()


if __name__ == "__main__":
    url, store, name = sys.argv[1:4]
    anyio.run(main, url, store, name)
