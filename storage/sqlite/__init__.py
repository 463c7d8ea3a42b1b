"""SQLite as the embedded engine; everything here runs inside workers, without an event loop."""

from __future__ import annotations
