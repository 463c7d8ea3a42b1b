"""The tables of a client's store, one numbered file a change."""

from __future__ import annotations
