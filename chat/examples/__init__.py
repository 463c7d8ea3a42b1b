"""Programs that use the client; each runs as `python -m chat.examples.NAME`."""

from __future__ import annotations
