"""The inside of a worker process: two threads, one that runs calls and one that hears the pool meanwhile.

The main thread reads the data socket and runs calls; inside one long SQLite step it sees nothing else. The control
thread reads the control socket: it interrupts, gives unbegun calls back (those still in the socket too), hands over
replies that wait behind a slow call, and ends the process at once when the pool is gone (the end of the socket).
"""

from __future__ import annotations

import array
import mmap
import os
import select
import socket
import sys
import threading
import time
from collections import deque
from contextlib import closing
from typing import TYPE_CHECKING, Any

import msgspec

from workers.backends.building import NotBuilt, built_service
from workers.body import Body, Outcome, spilled
from workers.frames import MAX_MESSAGE_BYTES, FrameBuffer, FrameError, frame
from workers.protocol import (
    FAILED,
    PAGE_BYTES,
    Cancel,
    Failure,
    LargeResponse,
    Log,
    Parcel,
    Ping,
    Pong,
    Progress,
    Ready,
    Recall,
    Recalled,
    Response,
    Shutdown,
    SmallBody,
    Start,
    StartFailed,
    call_decoder,
    encoder,
    to_worker_decoder,
)
from workers.runner import Runner

if TYPE_CHECKING:
    from workers.protocol import Reply

INLINE_BODY_BYTES = 64 * 1024
"""A body up to this size goes inside the frame, a larger one as a file."""
FLUSH_AFTER_NS = 500_000
FLUSH_AT_BYTES = 32 * 1024
"""Replies leave together once there is nothing more to do, or after this long, or at this size."""
ANCILLARY_BYTES = socket.CMSG_SPACE(256 * array.array("i").itemsize)
_CONTROL_LOST = int(socket.MSG_CTRUNC)  # as a number: `&` with the enum costs 2 us
MAX_FILES_COUNT = 64
"""Descriptors that go with one frame; Linux allows 253."""


class Child:
    """One worker process."""

    def __init__(self, data: socket.socket, control: socket.socket, page: memoryview) -> None:
        self._data = data
        self._control = control
        self._page = page
        self._runner: Runner
        self._buffer = FrameBuffer()
        self._read_lock = threading.Lock()
        self._reading = False
        self._lock = threading.Lock()
        self._send_lock = threading.Lock()
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._out_fds: list[int] = []
        self._out_since_ns = 0
        self._control_lock = threading.Lock()
        self._poll = select.poll()
        self._poll.register(data, select.POLLIN)
        self._files: deque[int] = deque()
        self._takes_files = False
        self._shutting_down = False

    def main(self) -> None:
        """Build the service as told, then run calls until the data socket ends or a shutdown comes."""
        messages = self._control_messages()
        start = next(messages, None)
        if not isinstance(start, Start):
            return
        sys.path[:] = start.path
        try:
            service = built_service(start.service, start.options, self._note)
        except NotBuilt as error:
            self._tell(StartFailed(str(error)))
            return
        self._takes_files = hasattr(service, "joined")  # a typed service; any other is spared the dearer call
        self._runner = Runner(
            service, emit=self._emit, log=self._note, page=self._page, progress=self._tell, makes_files=True
        )
        threading.Thread(target=self._hear, args=(messages,), name="control", daemon=True).start()
        self._tell(Ready(self._runner.is_batched))
        try:
            while not self._shutting_down and self._receive():
                while self._runner.run_next():
                    if self._runner.is_batched:
                        self._flush()  # nobody's answer waits for what is due, nor for the next commit,
                        self._runner.tend()
                        self._read_what_is_there()  # which takes all that arrived during this one
                    elif self._out_bytes > FLUSH_AT_BYTES or (
                        self._out and time.monotonic_ns() - self._out_since_ns > FLUSH_AFTER_NS
                    ):
                        self._flush()
                self._flush()
        finally:
            self._runner.close()

    # -- calls in -------------------------------------------------------------------------------------------------

    def _receive(self) -> bool:
        """Wait for calls and offer them to the runner; False when the pool is gone.

        Meanwhile the control thread keeps off the socket and its buffer. A wait in `poll` before the read, and a test of
        flags by their enum, were an eighth of what an empty call costs the worker (2026-11).
        """
        with self._read_lock:
            self._reading = True
        count = self._receive_into(self._buffer.writable(), 0)
        with self._read_lock:
            self._reading = False
            return self._take(count)

    def _read_what_is_there(self) -> None:
        with self._read_lock:
            while self._poll.poll(0) and self._read():
                pass

    def _read(self) -> bool:
        try:
            count = self._receive_into(self._buffer.writable(), socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True
        return self._take(count)

    def _take(self, count: int) -> bool:
        """Offer the runner what `count` bytes, just read, complete; False if they are the end of the socket."""
        if not count:
            self._shutting_down = True
            return False
        self._buffer.filled(count)
        for payload in self._buffer.frames():
            try:
                calls = call_decoder.decode(payload)
            except msgspec.MsgspecError:
                from workers.understanding import calls_of  # noqa: PLC0415 - hardly ever needed

                calls, failures = calls_of(payload, self._refuse)
                for failure in failures:
                    self._emit(failure)
            if self._files:
                from workers.buffers import attach  # noqa: PLC0415 - only typed services need it

                attach(calls, self._files)
            self._runner.offer(calls)
        return True

    def _receive_into(self, room: memoryview, how: int) -> int:
        """Read what is there, and the files that came with it, into their places; 0 at the end of the socket."""
        if not self._takes_files:
            return self._data.recv_into(room, 0, how)
        count, ancillary, flags, _ = self._data.recvmsg_into([room], ANCILLARY_BYTES, how)
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
                self._files.extend(fds)
        if flags & _CONTROL_LOST:
            self._note("error", "workers.files_lost", {})
            os._exit(
                1
            )  # which file belongs to which call is not known any more: the pool starts another worker
        return count

    # -- replies out ----------------------------------------------------------------------------------------------

    def _emit(self, reply: Reply) -> None:
        fds: list[int] = []
        try:
            if isinstance(reply, Response) and isinstance(reply.value, (Body, Outcome)):
                encoded = encoder.encode(self._packed(reply, fds))
            else:
                encoded = encoder.encode(reply)
            if len(encoded) > MAX_MESSAGE_BYTES:
                raise ValueError(f"{len(encoded)} bytes; return a Body")  # noqa: TRY301 - refused as what can't be encoded
        except (TypeError, ValueError, OverflowError, OSError) as error:
            self._note("error", "workers.result_refused", {"error": f"{type(error).__name__}: {error}"})
            while fds:
                os.close(fds.pop())
            text = f"the result can't be sent: {type(error).__name__}"
            encoded = encoder.encode(Failure(reply.seq, reply.run_us, FAILED, text, {}))
        with self._lock:
            if not self._out:
                self._out_since_ns = time.monotonic_ns()
            self._out.append(encoded)
            self._out_bytes += len(encoded)
            self._out_fds += fds
            is_full = len(self._out_fds) >= MAX_FILES_COUNT
        if is_full:
            self._flush()

    def _packed(self, reply: Response, fds: list[int]) -> Reply:
        """Return `reply` with its large bodies spilled to files, which are appended to `fds`."""
        value: Body | Outcome = reply.value
        with closing(value):
            if isinstance(value, Body):
                packed = _packed_body(value, fds)
                if isinstance(packed, int):
                    return LargeResponse(reply.seq, reply.run_us, packed)
                return SmallBody(reply.seq, reply.run_us, packed)
            if not value.buffers:
                return Response(reply.seq, reply.run_us, value.value)
            buffers = [_packed_body(each, fds) for each in value.buffers]
            return Parcel(reply.seq, reply.run_us, value.value, buffers)

    def _flush(self) -> None:
        with self._send_lock:
            with self._lock:
                out, self._out = self._out, []
                fds, self._out_fds = self._out_fds, []
                self._out_bytes = 0
            if not out:
                return
            data = frame(out)
            if fds:
                sent = socket.send_fds(self._data, [data], fds)
                for fd in fds:
                    os.close(fd)
                data = data[sent:]
            self._data.sendall(data)

    # -- control --------------------------------------------------------------------------------------------------

    def _hear(self, messages: Any) -> None:
        for message in messages:
            if isinstance(message, Cancel):
                self._runner.cancel(message.seq)
                self._flush()
            elif isinstance(message, Recall):
                self._give_back()
            elif isinstance(message, Ping):
                self._tell(Pong(_resident_bytes()))
            elif isinstance(message, Shutdown):
                self._shutting_down = True
                self._data.shutdown(socket.SHUT_RD)
        if not self._shutting_down:
            _leave()  # nobody waits for what runs, and SQLite rolls back what was not committed

    def _give_back(self) -> None:
        with self._read_lock:
            if not self._reading:
                while self._poll.poll(0) and self._read():
                    pass
            seqs = self._runner.recall()
        self._flush()
        self._tell(Recalled(seqs))

    def _control_messages(self) -> Any:
        buffer = FrameBuffer()
        while True:
            count = self._control.recv_into(buffer.writable())
            if not count:
                return
            buffer.filled(count)
            for payload in buffer.frames():
                try:
                    yield from to_worker_decoder.decode(payload)
                except msgspec.MsgspecError:
                    from workers.understanding import messages_of  # noqa: PLC0415 - hardly ever needed

                    yield from messages_of(payload, to_worker_decoder, self._refuse)

    def _tell(self, message: Ready | StartFailed | Recalled | Progress | Pong | Log) -> None:
        with self._control_lock:
            self._control.sendall(frame([encoder.encode(message)]))

    def _refuse(self, why: str) -> None:
        self._note("warning", "workers.message_refused", {"reason": why})

    def _note(self, level: str, event: str, facts: dict[str, Any]) -> None:
        self._tell(Log(level, event, facts))


def _leave() -> None:
    """End at once, with all that the service has started: the pool is gone."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, 9)  # SIGKILL; the module with its name is 1 ms of the start
    os._exit(0)


def _resident_bytes() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - pathlib is 5 ms of the start
            return int(file.read().split()[1]) * mmap.PAGESIZE
    except OSError:
        return 0  # not on Linux


def _packed_body(body: Body, fds: list[int]) -> bytes | int:
    if body.fd is not None and hasattr(body, "file"):  # an `Output`, whose module only typed services import
        fds.append(body.file())
        return body.length
    if body.length <= INLINE_BODY_BYTES:
        return b"".join(body.chunks())
    fds.append(spilled(body))
    return body.length


def main(data_fd: int, control_fd: int, page_fd: int) -> None:
    """Be a worker on the descriptors that the pool made; returns when the pool says so or is gone."""
    page = memoryview(mmap.mmap(page_fd, PAGE_BYTES)).cast("Q")
    os.close(page_fd)
    try:
        Child(socket.socket(fileno=data_fd), socket.socket(fileno=control_fd), page).main()
    except FrameError as error:
        sys.stderr.write(f"worker: {error}\n")
        os._exit(1)  # what follows in the socket has no meaning; the pool starts another worker
    except (BrokenPipeError, ConnectionResetError):
        _leave()
