"""Under what address the world sees this machine: a STUN binding (RFC 8489), within four seconds.

Messages are made and read by aioice; the sending again is ours, because aioice's follows
the RFC's schedule, which goes on for more than half a minute.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

import anyio
from aioice import stun

from workers.services.network.messages import StunBinding
from workers.services.network.reasons import reason_of
from workers.services.network.web import in_words

if TYPE_CHECKING:
    from workers.services.network.messages import Reason, StunParams

_FIRST_PAUSE_S = 0.25
_MAX_PACKET_BYTES = 2_048


async def stun_binding(params: StunParams) -> StunBinding:
    """Ask a STUN server for a binding."""
    asking = _Asking()
    reason: Reason = "timeout"
    try:
        with anyio.move_on_after(params.timeout_s):
            reason = await asking.ask(params)
    except (OSError, UnicodeError) as error:
        reason = reason_of(error)
    return StunBinding(
        reason=reason,
        detail=in_words(reason, params.timeout_s),
        mapped_host=asking.mapped[0],
        mapped_port=asking.mapped[1],
        local_port=asking.local_port,
        tries_count=len(asking.sent_at),
        round_trip_ms=asking.round_trip_ms,
    )


class _Asking:
    def __init__(self) -> None:
        self.mapped: tuple[str | None, int | None] = (None, None)
        self.local_port: int | None = None
        self.sent_at: list[float] = []
        self.round_trip_ms: float | None = None

    async def ask(self, params: StunParams) -> Reason:
        """Send, and send again, until there is an answer.

        Raises:
            OSError: There is no way there, or nobody listens.
        """
        answers = await anyio.getaddrinfo(params.host, params.port, type=socket.SOCK_DGRAM)
        family, kind, _, _, address = answers[0]
        request = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        with socket.socket(family, kind) as sock:  # anyio's keeps it to itself when nobody listens
            sock.setblocking(False)
            sock.connect(address)
            self.local_port = sock.getsockname()[1]
            reason: Reason | None = None
            while reason is None:
                sock.send(bytes(request))
                self.sent_at.append(time.perf_counter())
                with anyio.move_on_after(_FIRST_PAUSE_S * 2 ** (len(self.sent_at) - 1)):
                    while reason is None:
                        await anyio.wait_readable(sock)
                        reason = self._read(sock.recv(_MAX_PACKET_BYTES), request.transaction_id)
        return reason

    def _read(self, packet: bytes, transaction_id: bytes) -> Reason | None:
        """Return what a packet means; None for one that is no answer to us."""
        try:
            answer = stun.parse_message(packet)
        except ValueError:
            return None
        if answer.transaction_id != transaction_id or answer.message_method != stun.Method.BINDING:
            return None
        mapped = answer.attributes.get("XOR-MAPPED-ADDRESS") or answer.attributes.get("MAPPED-ADDRESS")
        if answer.message_class != stun.Class.RESPONSE or mapped is None:
            return "protocol"
        self.mapped = mapped
        self.round_trip_ms = (time.perf_counter() - self.sent_at[-1]) * 1000
        return "ok"
