"""The SQL of the queue, each statement in a file of its name."""

from __future__ import annotations
