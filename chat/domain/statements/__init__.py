"""What the chat asks of its tables: statements by name, one file a subject."""

from __future__ import annotations
