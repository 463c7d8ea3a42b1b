"""The user's settings and space keys on several devices: what changed, merged, encrypted, signed."""

from __future__ import annotations
