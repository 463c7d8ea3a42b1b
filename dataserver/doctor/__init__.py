"""`dataserver doctor`: facts of this machine and this folder, and what follows from them."""

from __future__ import annotations
