"""How the server itself is set: where it listens, where its data is, how it logs and how it stops."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

AsgiServer = Literal["uvicorn", "h2corn"]


@dataclass(frozen=True, kw_only=True)
class ServerSettings:
    """Where the server listens, and what it does at a stop."""

    host: str = "127.0.0.1"
    port: int = 8000
    data_dir: Path = field(default_factory=lambda: Path("dataserver-data").absolute())
    server: AsgiServer = "uvicorn"
    drain_s: float = 10.0


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"
