"""How actions reach the server: one function a type, and the table of them."""

from __future__ import annotations
