"""The network bridge: is the network there, how quick is it, and how is this machine seen from outside.

A check is a value, never an error: what went wrong is its `reason`. Checks run in a worker, each on an event loop of
its own (see `workers.services.network.own_loop`), so that they measure the network and not the caller's loop.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from typing_extensions import override

from workers.bridges.base import Bridge
from workers.services.network import messages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.requests import OnProgress
    from workers.services.network.messages import (
        Bandwidth,
        Connectivity,
        Direction,
        IceGathering,
        Latency,
        StunBinding,
        Target,
    )
    from workers.settings import Kind, PoolSettings

STUN_PORT = 3478
WORKERS_COUNT = 4
"""A check mostly waits, so several share a core; the next one waits for a worker, within its time."""
_GRACE_S = 0.5
"""What a check that was told to stop gets to close its connections; it takes milliseconds, and computes nothing."""
_SLACK_S = 5.0
"""What a request gets beyond the limits of its check: for the worker to start and to answer."""


class NetworkBridge(Bridge):
    """Checks the network; had as `bridges.network`.

    No proxy is used, no redirect is followed, and certificates are checked against the system's, or against those of
    `ca_pem` alone. Parameters out of bounds raise `InvalidParameters`.
    """

    name = "network"
    service = "workers.services.network.service:NetworkService"

    async def connectivity(
        self, targets: Sequence[str | Target], *, timeout_s: float = 5.0, ca_pem: str | None = None
    ) -> Connectivity:
        """Ask up to 32 URLs at once; the network is there if one of them answers as it should.

        A plain URL may answer with anything but an error or a redirect to another host; a `Target` can name the one
        status that nobody else gives, which is what tells a portal from the network.
        """
        asked = tuple(messages.Target(url=each) if isinstance(each, str) else each for each in targets)
        params = messages.ConnectivityParams(targets=asked, timeout_s=timeout_s, ca_pem=ca_pem)
        return await self._request(
            "connectivity", params, messages.Connectivity, timeout_s=timeout_s + _SLACK_S
        )

    async def latency(
        self,
        url: str,
        *,
        samples_count: int = 10,
        interval_s: float = 0.05,
        timeout_s: float = 2.0,
        ca_pem: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Latency:
        """Take up to 1,000 round trips to an `http`, `https` or `tcp://host:port` URL, one after the other.

        One that takes longer than `timeout_s` is lost.
        """
        params = messages.LatencyParams(
            url=url,
            samples_count=samples_count,
            interval_s=interval_s,
            timeout_s=timeout_s,
            ca_pem=ca_pem,
        )
        longest_s = (samples_count + 1) * timeout_s + samples_count * interval_s
        return await self._request(
            "latency",
            params,
            messages.Latency,
            timeout_s=longest_s + _SLACK_S,
            on_progress=on_progress,
        )

    async def bandwidth(
        self,
        url: str,
        direction: Direction = "down",
        *,
        max_bytes: int = 8 * 1024 * 1024,
        max_s: float = 10.0,
        timeout_s: float = 5.0,
        ca_pem: str | None = None,
        on_progress: OnProgress | None = None,
    ) -> Bandwidth:
        """Fetch what is at a URL, or post zeros to it: `max_bytes` at most (up to 1 GiB), and for `max_s` at most.

        `timeout_s` is for the connection and for each pause. An upload is never done twice.
        """
        params = messages.BandwidthParams(
            url=url,
            direction=direction,
            max_bytes=max_bytes,
            max_s=max_s,
            timeout_s=timeout_s,
            ca_pem=ca_pem,
        )
        return await self._request(
            "bandwidth",
            params,
            messages.Bandwidth,
            timeout_s=max_s + timeout_s + _SLACK_S,
            on_progress=on_progress,
            idempotent=direction == "down",
        )

    async def stun(
        self, host: str, port: int = STUN_PORT, *, timeout_s: float = messages.MAX_GATHERING_S
    ) -> StunBinding:
        """Ask a STUN server under what address it sees this machine; four seconds at most."""
        params = messages.StunParams(host=host, port=port, timeout_s=timeout_s)
        return await self._request("stun", params, messages.StunBinding, timeout_s=timeout_s + _SLACK_S)

    async def gather_ice(
        self,
        stun_host: str | None = None,
        stun_port: int = STUN_PORT,
        *,
        use_ipv6: bool = True,
        timeout_s: float = messages.MAX_GATHERING_S,
    ) -> IceGathering:
        """Return the addresses under which a peer could reach this machine; four seconds at most.

        Without an answer of the STUN server, those of the machine itself are still there.
        """
        params = messages.IceParams(
            stun_host=stun_host, stun_port=stun_port, use_ipv6=use_ipv6, timeout_s=timeout_s
        )
        return await self._request("ice", params, messages.IceGathering, timeout_s=timeout_s + _SLACK_S)

    @override
    def _pool_settings(self, kind: Kind) -> PoolSettings:
        settings = super()._pool_settings(kind)
        return replace(
            settings,
            worker_count=self._settings.worker_count or WORKERS_COUNT,
            cancel_grace_s=max(settings.cancel_grace_s, _GRACE_S),
        )
