"""The bridges: heavy work off the event loop, typed, with no pool to set up."""

from __future__ import annotations

from workers.bridges.base import Bridge, How
from workers.bridges.book import BridgeStatistics, PendingRequest
from workers.bridges.opening import Bridges, Channel, close_all, open_bridges
from workers.bridges.own import ServiceBridge
from workers.bridges.settings import BridgeSettings, Placement

__all__ = [
    "Bridge",
    "BridgeSettings",
    "BridgeStatistics",
    "Bridges",
    "Channel",
    "How",
    "PendingRequest",
    "Placement",
    "ServiceBridge",
    "close_all",
    "open_bridges",
]
