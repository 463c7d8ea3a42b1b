"""The schema of a queue's file, in numbered steps."""

from __future__ import annotations
