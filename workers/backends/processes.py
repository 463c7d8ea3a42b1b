"""Workers in processes of their own: no shared interpreter lock, and a stop that always works.

A child is started by `subprocess` (never forked from a threaded parent), in a process group of its own, with two
socketpairs and one shared page. It imports only what its service needs: 99 ms and 16 MB against 280 ms and 38 MB
(2026-11). Replies are read with `recvmsg` on a raw socket, because the transports of asyncio and uvloop drop the
descriptors that large results come as (94,000 point reads/s, no slower than a Protocol).

`concurrent.futures.ProcessPoolExecutor` was not taken: one dead worker breaks its whole pool, a running task can't
be cancelled, and `max_tasks_per_child` deadlocks on Python 3.11 (cpython#115634).
"""

from __future__ import annotations

import array
import os
import signal
import socket
import sys
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import structlog

from workers.backends.outlet import Outlet
from workers.backends.spawning import spawn
from workers.errors import ServiceUnavailable
from workers.frames import FrameBuffer, FrameError, frame
from workers.protocol import (
    PAGE_WORDS_COUNT,
    Cancel,
    Log,
    Ping,
    Pong,
    Progress,
    Ready,
    Recall,
    Recalled,
    Shutdown,
    Start,
    StartFailed,
    encoded_call,
    encoder,
    from_worker_decoder,
)
from workers.understanding import messages_of, replies_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.backends.spawning import Spawned
    from workers.completion import Loop
    from workers.settings import Kind, PoolSettings
    from workers.worker import Events, Pending

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

_CONTROL_BYTES = socket.CMSG_SPACE(256 * array.array("i").itemsize) if hasattr(socket, "CMSG_SPACE") else 0
_READS_A_TURN_COUNT = 8
_STEPS_BEHIND = 5
"""Of niceness; each is a fifth less of a core for which there are others."""
_MOST_NICENESS = 19
_FULL_READ_BYTES = 64 * 1024
_CONTROL_LOST = int(socket.MSG_CTRUNC)  # as a number: `&` with the enum costs 2 us
_LOG_LEVELS = frozenset({"debug", "info", "warning", "error"})


class ProcessBackend:
    """Makes processes."""

    kind: Kind = "process"

    def __init__(
        self, service: str, options: dict[str, Any], loop: Loop, settings: PoolSettings, name: str
    ) -> None:
        self._start = Start(list(sys.path), service, options)
        self._loop = loop
        self._settings = settings
        self._name = name

    async def start(self, index: int, events: Events) -> ProcessWorker:
        """See `Backend`."""
        name = f"{self._name}-{index}"
        with anyio.CancelScope(shield=True):  # what was started must not be lost; it takes milliseconds
            try:
                spawned = await anyio.to_thread.run_sync(spawn, name)
            except RuntimeError as error:  # no thread was to be had for it
                raise OSError(f"no process could be started: {error}") from error
        worker = ProcessWorker(self._loop, events, spawned, name)
        worker.listen(self._start)
        try:
            with anyio.fail_after(self._settings.start_timeout_s):
                await worker.started.wait()
        except TimeoutError:
            await worker.discard()
            raise ServiceUnavailable(f"a worker of {self._name} was not ready within its time") from None
        except BaseException:
            await worker.discard()
            raise
        if worker.start_failure is not None:
            await worker.discard()
            raise ServiceUnavailable(f"{self._start.service} could not be built: {worker.start_failure}")
        return worker


class ProcessWorker:
    """The pool's side of one worker process."""

    def __init__(self, loop: Loop, events: Events, spawned: Spawned, name: str) -> None:
        self.is_batched = False
        self.started = anyio.Event()
        self.start_failure: str | None = None
        self.pid = spawned.process.pid
        self.page: memoryview[int] | tuple[int, ...] = memoryview(spawned.memory).cast("Q")
        self._memory = spawned.memory
        self._loop = loop
        self._events = events
        self._process = spawned.process
        self._name = name
        self._data = Outlet(loop, spawned.data)
        self._control = Outlet(loop, spawned.control)
        self._replies = FrameBuffer()
        self._messages = FrameBuffer()
        self._fds: deque[int] = deque()
        self._ended = False
        self._exited = anyio.Event()
        self._pidfd = -1
        self._stopping = False
        self._refused_count = 0
        self._hears_progress = False
        """Some call wanted progress: from then on what is on the control socket is heard before replies are."""

    def listen(self, start: Start) -> None:
        """Watch the sockets and the process, and send `start`; on the loop's thread."""
        self._loop.add_reader(self._data.fileno(), self._on_data)
        self._loop.add_reader(self._control.fileno(), self._on_control)
        if hasattr(os, "pidfd_open"):
            self._pidfd = os.pidfd_open(self.pid)
            self._loop.add_reader(self._pidfd, self._on_exit)
        else:
            threading.Thread(target=self._wait_for_exit, name=f"{self._name}-exit", daemon=True).start()
        self._control.send(frame([encoder.encode(start)]))

    # -- the pool's requests --------------------------------------------------------------------------------------

    def send(self, calls: Sequence[Pending]) -> None:
        """See `Worker`."""
        self._data.send(frame([encoded_call(each.seq, each.tail) for each in calls]))

    def send_requests(self, calls: Sequence[Pending]) -> None:
        """See `Worker`; a call with files has a frame of its own, which they go with."""
        plain: list[bytes] = []
        for each in calls:
            if each.on_progress is not None:
                self._hears_progress = True
            encoded = encoded_call(each.seq, each.tail)
            if each.attachments is None or not each.attachments.fds:
                plain.append(encoded)
                continue
            if plain:
                self._data.send(frame(plain))
                plain = []
            self._data.send(frame([encoded]), each.attachments.fds)
        if plain:
            self._data.send(frame(plain))

    def cancel(self, seq: int) -> None:
        """See `Worker`."""
        self._tell(Cancel(seq))

    def recall(self) -> None:
        """See `Worker`."""
        self._tell(Recall())

    def ping(self) -> None:
        """See `Worker`."""
        self._tell(Ping())

    def give_way(self) -> None:
        """See `Worker`; on Linux it is the main thread, which runs calls: the one that hears the pool stays as it was."""
        with suppress(OSError):  # it has ended, which is told elsewhere, or nothing may be changed here
            niceness = os.getpriority(os.PRIO_PROCESS, 0) + _STEPS_BEHIND
            os.setpriority(os.PRIO_PROCESS, self.pid, min(niceness, _MOST_NICENESS))

    def terminate(self) -> None:
        """See `Worker`."""
        self._signal(signal.SIGTERM)

    def kill(self) -> bool:
        """See `Worker`."""
        self._signal(signal.SIGKILL)
        return True

    async def stop(self, limit_s: float) -> None:
        """See `Worker`."""
        self._stopping = True
        if not self._ended:
            self._tell(Shutdown())
        for signal_number in (signal.SIGTERM, signal.SIGKILL):
            with anyio.move_on_after(limit_s):
                await self._exited.wait()
                return
            self._signal(signal_number)
        await self._exited.wait()

    async def discard(self) -> None:
        """Kill a child that never became a worker, and see it gone."""
        self._stopping = True
        self._signal(signal.SIGKILL)
        with anyio.CancelScope(shield=True):  # SIGKILL can't be refused, so this ends
            await self._exited.wait()

    def _tell(self, message: Cancel | Recall | Ping | Shutdown) -> None:
        self._control.send(frame([encoder.encode(message)]))

    def _signal(self, number: signal.Signals) -> None:
        if not self._ended:
            try:
                os.killpg(self.pid, number)  # the group: what the service started goes with it
            except ProcessLookupError:
                return  # it ended just now; the watch on it will say so

    # -- what comes from the child --------------------------------------------------------------------------------

    def _on_data(self) -> None:
        for _ in range(_READS_A_TURN_COUNT):
            if self._read_data() < _FULL_READ_BYTES:
                return  # the socket is empty now, or will call again

    def _read_data(self) -> int:
        """Take replies from the socket and return how many bytes they were; 0 when there is nothing."""
        room = self._replies.writable()
        try:
            count, ancillary, flags, _ = self._data.socket.recvmsg_into([room], _CONTROL_BYTES)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            count, ancillary, flags = 0, [], 0
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
                self._fds.extend(fds)
        if not count:
            self._loop.remove_reader(self._data.fileno())
            return 0
        if flags & _CONTROL_LOST:
            self._fail_protocol("descriptors were lost on the way")
            return 0
        self._replies.filled(count)
        if self._hears_progress:
            self._on_control()
        try:
            for payload in self._replies.frames():
                refused_count = self._refused_count
                replies = replies_of(payload, self._refuse)
                if self._fds and self._refused_count > refused_count:
                    self._fail_protocol("it is not known which file belongs to which answer")
                    return 0
                self._events.replied(replies, self._fds.popleft)
        except FrameError as error:
            self._fail_protocol(str(error))
            return 0
        return count

    def _refuse(self, why: str) -> None:
        self._refused_count += 1
        if self._refused_count & (self._refused_count - 1) == 0:  # 1, 2, 4, 8: garbage must not fill the log
            _log.warning(
                "workers.message_refused", worker=self._name, reason=why, refused_count=self._refused_count
            )

    def _on_control(self) -> None:
        try:
            count = self._control.socket.recv_into(self._messages.writable())
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            count = 0
        if not count:
            self._loop.remove_reader(self._control.fileno())
            return
        self._messages.filled(count)
        try:
            for payload in self._messages.frames():
                for message in messages_of(payload, from_worker_decoder, self._refuse):
                    self._on_message(message)
        except FrameError as error:
            self._fail_protocol(str(error))

    def _on_message(self, message: Ready | StartFailed | Recalled | Progress | Pong | Log) -> None:
        if isinstance(message, Ready):
            self.is_batched = message.is_batched
            self.started.set()
        elif isinstance(message, StartFailed) and not self.started.is_set():
            self.start_failure = message.message
            self.started.set()
        elif isinstance(message, Recalled):
            self._on_data()  # replies to earlier calls first
            self._events.recalled(message.seqs)
        elif isinstance(message, Progress):
            self._events.progressed(message)
        elif isinstance(message, Pong):
            self._events.ponged(message.resident_bytes)
        elif isinstance(message, Log) and message.level in _LOG_LEVELS:
            facts = {key: fact for key, fact in message.facts.items() if key not in {"event", "worker"}}
            getattr(_log, message.level)(message.event, worker=self._name, **facts)

    def _fail_protocol(self, why: str) -> None:
        _log.error("workers.protocol_broken", worker=self._name, reason=why)
        self.kill()

    def _wait_for_exit(self) -> None:
        self._process.wait()
        try:
            self._loop.call_soon_threadsafe(self._on_exit)
        except RuntimeError:
            return  # the loop is closed: nobody waits

    def _on_exit(self) -> None:
        if self._ended:
            return
        if self._pidfd >= 0:  # then it is not reaped yet, and the number of its group is still its own
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)  # what its service started goes with it
        code = self._process.wait()  # it has ended; this only reaps it
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
        while self._read_data():
            pass
        self._ended = True
        if not self.started.is_set():
            self._on_control()  # it may have said why
        if not self.started.is_set():
            self.start_failure = f"it {_ending(code)} while starting"
            self.started.set()
        for outlet in (self._data, self._control):
            outlet.close()
        while self._fds:
            os.close(self._fds.popleft())
        self._exited.set()
        if not self._stopping and self.start_failure is None:
            self._events.died(_ending(code))
        self._close_page()

    def _close_page(self) -> None:
        view, self.page = self.page, tuple(self.page[:PAGE_WORDS_COUNT])
        if isinstance(view, memoryview):
            view.release()
            self._memory.close()


def _ending(code: int) -> str:
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
