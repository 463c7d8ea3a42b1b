"""Whether the network is there: several URLs at once, each with a reason if it is not."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from workers.services.network.messages import Check, Connectivity
from workers.services.network.reasons import reason_of, verdict
from workers.services.network.web import FAILURES, in_words, is_elsewhere, url_of

if TYPE_CHECKING:
    import httpx2

    from workers.services.network.messages import ConnectivityParams, Reason, Target


async def connectivity(params: ConnectivityParams, client: httpx2.AsyncClient) -> Connectivity:
    """Ask all targets at once."""
    checks: dict[int, Check] = {}
    async with client:

        async def ask(number: int, target: Target) -> None:
            checks[number] = await _check(client, target, params.timeout_s)

        async with anyio.create_task_group() as group:
            for number, target in enumerate(params.targets):
                group.start_soon(ask, number, target)
    ordered = tuple(checks[number] for number in sorted(checks))
    return Connectivity(is_online=any(each.reason == "ok" for each in ordered), checks=ordered)


async def _check(client: httpx2.AsyncClient, target: Target, timeout_s: float) -> Check:
    began = time.perf_counter()
    status: int | None = None
    reason: Reason
    if url_of(target.url) is None:
        reason = "url"
    else:
        try:
            with anyio.fail_after(timeout_s):
                async with client.stream("GET", target.url) as response:  # its body is not read
                    status = response.status_code
                    reason = verdict(
                        status, expected=target.expected_status, is_elsewhere=is_elsewhere(response)
                    )
        except FAILURES as error:
            reason = reason_of(error)
    return Check(
        url=target.url,
        reason=reason,
        detail=in_words(reason, timeout_s),
        status=status,
        took_ms=(time.perf_counter() - began) * 1000,
    )
