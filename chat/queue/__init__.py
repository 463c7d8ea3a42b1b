"""The durable action queue: pure rules, the tables they are stored in, and the loop that delivers."""

from __future__ import annotations
