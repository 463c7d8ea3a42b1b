"""The chat over WebSocket: commands in, answers and events out, each connection with its own bounds.

`sockets.py` takes connections in; `hub.py` gives each committed event to those who follow its stream; what decides
(`following`, `outbox`, `credit`, `ephemera`) is pure, what waits (`connection`, `subscriber`) decides nothing.
"""

from __future__ import annotations
