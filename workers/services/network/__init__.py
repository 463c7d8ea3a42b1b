"""Whether the network is there and how good it is: connectivity, latency, bandwidth, STUN, ICE; a module for each."""

from __future__ import annotations
