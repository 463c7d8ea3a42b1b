"""The network service: typed methods around this package's functions; it runs in any kind of worker."""

from __future__ import annotations

import ssl

from workers.methods import MethodService, Task, method
from workers.services.network.bandwidth import bandwidth
from workers.services.network.connectivity import connectivity
from workers.services.network.ice import gather
from workers.services.network.latency import latency
from workers.services.network.messages import (
    Bandwidth,
    BandwidthParams,
    Connectivity,
    ConnectivityParams,
    IceGathering,
    IceParams,
    Latency,
    LatencyParams,
    StunBinding,
    StunParams,
)
from workers.services.network.own_loop import run_on_own_loop
from workers.services.network.stun import stun_binding
from workers.services.network.web import client_for, trust_in


class NetworkService(MethodService):
    """Checks the network; keeps the system's certificates, which take milliseconds to load, between calls."""

    _system_trust: ssl.SSLContext | None = None

    @method()
    def connectivity(self, params: ConnectivityParams, task: Task) -> Connectivity:
        """See `connectivity.connectivity`."""
        client = client_for(params.timeout_s, self._trust(params.ca_pem))
        return run_on_own_loop(lambda: connectivity(params, client), task)

    @method()
    def latency(self, params: LatencyParams, task: Task) -> Latency:
        """See `latency.latency`."""
        client = client_for(params.timeout_s, self._trust(params.ca_pem))
        return run_on_own_loop(lambda: latency(params, client, task.progress), task)

    @method()
    def bandwidth(self, params: BandwidthParams, task: Task) -> Bandwidth:
        """See `bandwidth.bandwidth`."""
        client = client_for(params.timeout_s, self._trust(params.ca_pem))
        return run_on_own_loop(lambda: bandwidth(params, client, task.progress), task)

    @method()
    def stun(self, params: StunParams, task: Task) -> StunBinding:
        """See `stun.stun_binding`."""
        return run_on_own_loop(lambda: stun_binding(params), task)

    @method()
    def ice(self, params: IceParams, task: Task) -> IceGathering:
        """See `ice.gather`."""
        return run_on_own_loop(lambda: gather(params), task)

    def _trust(self, ca_pem: str | None) -> ssl.SSLContext:
        if ca_pem is not None:
            return trust_in(ca_pem)
        if self._system_trust is None:
            self._system_trust = trust_in(None)
        return self._system_trust
