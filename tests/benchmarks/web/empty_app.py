"""The least that a server can answer: its own cost, without an application.

Started as `python -m tests.benchmarks.web.empty_app SERVER PORT`, SERVER one of uvicorn and h2corn.
"""

from __future__ import annotations

import sys
from typing import Any

_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answer `{}` to every HTTP request."""
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"{}"})


def _serve_h2corn(port: int) -> None:
    import h2corn  # noqa: PLC0415 - an optional server

    h2corn.serve(app, h2corn.Config(bind=(f"127.0.0.1:{port}",), access_log=False))


def _serve_uvicorn(port: int) -> None:
    import uvicorn  # noqa: PLC0415 - the other of the two

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    (_serve_h2corn if sys.argv[1] == "h2corn" else _serve_uvicorn)(int(sys.argv[2]))
