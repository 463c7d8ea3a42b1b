"""The chat itself, as the server runs it: accounts, spaces, rooms, messages, and the events that tell of them.

Entered by `open_chat`. What it asks of storage are named statements (`statements/`, one dialect), singly or several of
which all or none take effect; no function is sent to the writer, so another engine can answer the same questions.
"""

from __future__ import annotations
