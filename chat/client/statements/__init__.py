"""What a client asks of its store: statements by name, one file a subject."""

from __future__ import annotations
