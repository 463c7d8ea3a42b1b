"""The table of numbers that were given out to seal with, one numbered file a change."""

from __future__ import annotations
