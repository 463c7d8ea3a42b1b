"""The chat's client: a local store, the queue's handlers, HTTP and the WebSocket."""

from __future__ import annotations
