"""The kinds of workers: on the loop, in threads, in processes."""

from __future__ import annotations
