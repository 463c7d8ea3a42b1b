"""The bridges: heavy work off the event loop, typed, with no pool to set up."""

from __future__ import annotations

from workers.bridges.base import Bridge, BridgeSettings, BridgeStatistics, Placement
from workers.bridges.opening import Bridges, close_all, open_bridges

__all__ = [
    "Bridge",
    "BridgeSettings",
    "BridgeStatistics",
    "Bridges",
    "Placement",
    "close_all",
    "open_bridges",
]
