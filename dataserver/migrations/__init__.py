"""The schema of the server's own database, one numbered file a change."""

from __future__ import annotations
