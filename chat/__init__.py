"""Durable, ordered messages and actions: the queues, the chat domain and the client build on `storage`."""

from __future__ import annotations
