"""The tables of the chat, as numbered changes."""

from __future__ import annotations
