"""Workers in threads of this process: no copy of large results, but one interpreter lock for all.

A thread can't be killed. One that does not stop when told to is left behind (a daemon thread, so that it does not
keep the interpreter alive) and counted; when more are left behind than the pool has workers, no more are started until
one of them ends.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import structlog

from workers.backends.building import NotBuilt, built_service, no_file
from workers.body import discard
from workers.errors import ServiceUnavailable
from workers.protocol import PAGE_BYTES
from workers.runner import Runner
from workers.service import Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from workers.completion import Loop
    from workers.protocol import Progress, Reply
    from workers.settings import Kind, PoolSettings
    from workers.worker import Events, Pending

_log: structlog.stdlib.BoundLogger = structlog.get_logger("workers")

FLUSH_AFTER_S = 0.0005
"""Replies are handed over together once the thread has nothing more to do, or after this long."""


class ThreadBackend:
    """Makes threads."""

    kind: Kind = "thread"

    def __init__(
        self, service: str, options: dict[str, Any], loop: Loop, settings: PoolSettings, name: str
    ) -> None:
        self._service = service
        self._options = options
        self._loop = loop
        self._settings = settings
        self._name = name
        self._abandoned: list[threading.Thread] = []

    async def start(self, index: int, events: Events) -> ThreadWorker:
        """See `Backend`."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        if len(self._abandoned) > self._settings.worker_count:
            raise ServiceUnavailable(
                f"{len(self._abandoned)} threads of {self._name} were told to end and still run"
            )
        worker = ThreadWorker(self._loop, events, self._abandoned)
        started = anyio.Event()
        failures: list[str] = []

        def on_started(failure: str | None) -> None:
            if failure is not None:
                failures.append(failure)
            started.set()

        thread = threading.Thread(
            target=worker.main,
            args=(self._service, self._options, on_started),
            name=f"{self._name}-{index}",
            daemon=True,
        )
        worker.thread = thread
        try:
            thread.start()
        except RuntimeError as error:
            raise OSError(f"no thread could be started: {error}") from error
        try:
            with anyio.fail_after(self._settings.start_timeout_s):
                await started.wait()
        except TimeoutError:
            worker.give_up()
            raise ServiceUnavailable(f"{self._service} was not built within its time") from None
        except BaseException:
            worker.give_up()
            raise
        if failures:
            raise ServiceUnavailable(f"{self._service} could not be built: {failures[0]}")
        return worker


class ThreadWorker:
    """A thread that takes calls from a runner and hands replies over in batches, one wake-up each."""

    thread: threading.Thread

    def __init__(self, loop: Loop, events: Events, abandoned: list[threading.Thread]) -> None:
        self.page: list[int] = [0] * (PAGE_BYTES // 8)
        self.is_batched = False
        self._loop = loop
        self._events = events
        self._abandoned = abandoned
        self._runner: Runner | None = None
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._replies: list[Reply] = []
        self._progress: list[Progress] = []
        self._delivery_is_due = False
        self._flushed_at = 0.0
        self._ending = threading.Event()
        self._left = False

    # -- on the loop's thread -------------------------------------------------------------------------------------

    def send(self, calls: Sequence[Pending]) -> None:
        """See `Worker`."""
        if self._runner is not None:
            self._runner.offer([Call(each.seq, each.method, each.params, each.deadline) for each in calls])
            self._wake.put(None)

    def send_requests(self, calls: Sequence[Pending]) -> None:
        """See `Worker`; buffers are shared here, so there are no files."""
        self.send(calls)

    def cancel(self, seq: int) -> None:
        """See `Worker`."""
        if self._runner is not None:
            self._runner.cancel(seq)
            self._loop.call_soon(self._deliver)

    def recall(self) -> None:
        """See `Worker`."""
        if self._runner is not None:
            seqs = self._runner.recall()
            self._deliver()  # what was answered behind the one that is slow
            self._events.recalled(seqs)

    def ping(self) -> None:
        """See `Worker`; what a thread is busy with does not matter."""
        if self.thread.is_alive():
            self._events.ponged(0)

    def give_way(self) -> None:
        """See `Worker`; threads of one interpreter take turns anyhow."""

    def terminate(self) -> None:
        """See `Worker`."""
        self._ending.set()
        self._wake.put(None)

    def give_up(self) -> None:
        """Tell a thread that never became a worker to end, and count it as left behind until it has."""
        self._left = True
        self._abandoned.append(self.thread)
        self.terminate()

    def kill(self) -> bool:
        """See `Worker`."""
        if self.thread.is_alive():
            self._left = True
            self._abandoned.append(self.thread)
            self._events.died("would not stop and was left behind")
            return False
        return True

    async def stop(self, limit_s: float) -> None:
        """See `Worker`."""
        self._left = True
        self.terminate()
        await anyio.to_thread.run_sync(self.thread.join, limit_s, abandon_on_cancel=True)
        if self.thread.is_alive():
            self._abandoned.append(self.thread)
            _log.warning("workers.thread_abandoned", thread=self.thread.name, waited_s=limit_s)

    def _deliver(self) -> None:
        with self._lock:
            replies, self._replies = self._replies, []
            progress, self._progress = self._progress, []
            self._delivery_is_due = False
        if self._left:
            for reply in replies:
                discard(getattr(reply, "value", None))
            return
        for each in progress:
            self._events.progressed(each)
        if replies:
            self._events.replied(replies, no_file)

    def _on_end(self) -> None:
        self._deliver()
        if not self._left:
            self._left = True
            self._events.died("ended")

    # -- in the thread --------------------------------------------------------------------------------------------

    def main(self, service: str, options: dict[str, Any], on_started: Any) -> None:
        """Build the service, run calls until told to end, close the service."""
        try:
            built = built_service(service, options, self._note)
        except NotBuilt as error:
            failure = str(error)
            self._post(lambda: on_started(failure))
            return
        runner = Runner(built, emit=self._emit, log=self._note, page=self.page, progress=self._report)
        self._runner = runner
        self.is_batched = runner.is_batched
        self._post(lambda: on_started(None))
        try:
            while not self._ending.is_set():
                self._wake.get()
                while not self._ending.is_set() and runner.run_next():
                    if runner.is_batched:
                        self._flush()
                        runner.tend()
                    elif time.monotonic() - self._flushed_at > FLUSH_AFTER_S:
                        self._flush()
                self._flush()
        finally:
            runner.close()
            self._post(self._on_end)

    def _emit(self, reply: Reply) -> None:
        with self._lock:
            self._replies.append(reply)

    def _report(self, progress: Progress) -> None:
        with self._lock:
            self._progress.append(progress)
        self._flush()

    def _flush(self) -> None:
        self._flushed_at = time.monotonic()
        with self._lock:
            becomes_due = bool(self._replies or self._progress) and not self._delivery_is_due
            if becomes_due:
                self._delivery_is_due = True
        if becomes_due:
            self._post(self._deliver)

    def _post(self, callback: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:
            self._ending.set()  # the loop is closed: nobody waits for anything

    def _note(self, level: str, event: str, facts: dict[str, Any]) -> None:
        getattr(_log, level)(event, **facts)
