"""The chat message queue: the small face of the action queue, for a program that sends messages."""

from __future__ import annotations
