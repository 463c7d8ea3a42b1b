"""Under what addresses a peer could reach this machine: gathering of ICE candidates, within four seconds.

aioice waits five seconds for a STUN server that is silent, and resolves its name once for each local address, with
no limit; reports tell of 40 s behind broken DNS or IPv6. So the name is resolved once, within the same limit, and
what is there when it is over counts: the addresses of this machine always are.
"""

from __future__ import annotations

import ipaddress
import socket
import time
from typing import TYPE_CHECKING

import aioice
import anyio
from typing_extensions import override

from workers.services.network.messages import IceCandidate, IceGathering
from workers.services.network.reasons import reason_of
from workers.services.network.web import in_words

if TYPE_CHECKING:
    from workers.services.network.messages import IceParams, Reason

_LEAST_S = 0.05


class _Gatherer(aioice.Connection):
    """aioice's connection, with our limit in place of its five seconds."""

    limit_s = 0.0

    @override
    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: float = 5
    ) -> list[aioice.Candidate]:
        return await super().get_component_candidates(component, addresses, timeout=self.limit_s)  # type: ignore[arg-type]  # it only goes to `asyncio.wait`


async def gather(params: IceParams) -> IceGathering:
    """Gather; on an asyncio loop only."""
    began = time.perf_counter()
    deadline = began + params.timeout_s
    reason: Reason = "ok"
    address: str | None = None
    if params.stun_host is not None:
        try:
            with anyio.fail_after(params.timeout_s):
                address = await _resolved(params.stun_host)
        except (OSError, UnicodeError, TimeoutError) as error:
            reason = reason_of(error)
    server = None if address is None else (address, params.stun_port)
    gatherer = _Gatherer(ice_controlling=True, stun_server=server, use_ipv6=params.use_ipv6)
    gatherer.limit_s = max(_LEAST_S, deadline - time.perf_counter())
    try:
        await gatherer.gather_candidates()
        found = gatherer.local_candidates
    finally:
        with anyio.CancelScope(shield=True):
            await gatherer.close()
    if server is not None and not any(each.type == "srflx" for each in found):
        reason = "timeout"
    return IceGathering(
        reason=reason,
        detail=in_words(reason, params.timeout_s),
        candidates=tuple(_ours(each) for each in sorted(found, key=lambda each: -each.priority)),
        took_ms=(time.perf_counter() - began) * 1000,
    )


async def _resolved(host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        answers = await anyio.getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_DGRAM)
        return str(answers[0][4][0])


def _ours(candidate: aioice.Candidate) -> IceCandidate:
    return IceCandidate(
        kind=candidate.type,
        host=candidate.host,
        port=candidate.port,
        priority=candidate.priority,
        foundation=candidate.foundation,
        related_host=candidate.related_address,
    )
