"""State in common for processes and threads: progress, cancellation, counter, flag, and a board of values."""

from __future__ import annotations
