"""A kit for testing programs that use the queues.

`ScriptedServer` stands in for the server: it does each client id once, as a server should, and follows a script of
failures. `ManualClock` moves a queue's time by hand, so that a test of a retry takes no time. `CrashAt` kills its process
at a named step (`STEPS`) of a queue, for tests that start one and look at what it left.

```python
import tempfile
from pathlib import Path

import anyio

from chat import SendMessage, Transient, open_queue
from chat.testing import LoseAnswer, ManualClock, ScriptedServer


async def a_message_is_sent_once_whatever_happens(folder: str) -> None:
    server, clock = ScriptedServer(), ManualClock()
    server.script(Transient(status=500), LoseAnswer())  # the first call fails, the answer to the second gets lost
    async with open_queue(Path(folder) / "queue.db", clock=clock) as queue:
        queue.handle_all(server)
        receipt = await queue.enqueue(SendMessage(room_id="r1", content="hello"))
        async for event in queue.follow_events(0):
            if event.kind in {"retry_wait", "uncertain"}:
                clock.advance(seconds=60)  # it would wait for some seconds before it tries again
            if event.kind == "done":
                break
    assert len(server.calls) == 2
    assert server.asked == [receipt.client_id]  # instead of a third call
    assert [effect.payload.content for effect in server.effects] == ["hello"]


with tempfile.TemporaryDirectory() as folder:
    anyio.run(a_message_is_sent_once_whatever_happens, folder)
```

`python -m chat.testing.crash_matrix` is the same on a large scale: processes that are killed, frozen and stopped all the
time, before a server that does everything wrong but one thing, and an audit that counts.
"""

from __future__ import annotations

from chat.testing.clock import ManualClock
from chat.testing.crashes import STEPS, CrashAt
from chat.testing.scripted_server import Accept, Effect, Hold, LoseAnswer, ScriptedServer, Step

__all__ = [
    "STEPS",
    "Accept",
    "CrashAt",
    "Effect",
    "Hold",
    "LoseAnswer",
    "ManualClock",
    "ScriptedServer",
    "Step",
]
