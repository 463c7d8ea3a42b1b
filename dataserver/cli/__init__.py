"""The command line: one module a sub-command, imported when it is called, so that `--help` answers at once."""

from __future__ import annotations
