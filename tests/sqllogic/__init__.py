"""Every way to ask a database, held to what plain apsw answers: over generated statements, and over files of them."""

from __future__ import annotations
