"""One request, before anybody sends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A request; `json` is its body."""

    method: Literal["GET", "POST"]
    path: str
    json: Any = None
