"""The process: HTTP and WebSocket, auth, settings and the command line, on top of `chat`, `storage` and `workers`."""

from __future__ import annotations
