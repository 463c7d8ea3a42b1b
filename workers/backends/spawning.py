"""Starts a worker process with two socketpairs and a shared page."""

from __future__ import annotations

import mmap
import os
import socket
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass

from workers.protocol import PAGE_BYTES

_BOOT = "from workers.backends.child import main; main({data}, {control}, {page})"


@dataclass(frozen=True, slots=True)
class Spawned:
    """A child that was started, and the pool's ends of what leads to it; whoever gets it closes them."""

    process: subprocess.Popen[bytes]
    data: socket.socket
    control: socket.socket
    memory: mmap.mmap


def spawn(name: str) -> Spawned:
    """Start a child that shows `name` in lists of processes; this may take milliseconds, so not on the loop's thread.

    Raises:
        OSError: No process, descriptor or memory is to be had; nothing is left open.
    """
    with ExitStack() as undo:
        data, data_child = socket.socketpair()
        undo.callback(data.close)
        control, control_child = socket.socketpair()
        undo.callback(control.close)
        page_fd = _page_file()
        with data_child, control_child:
            try:
                memory = mmap.mmap(page_fd, PAGE_BYTES)
                undo.callback(memory.close)
                fds = (data_child.fileno(), control_child.fileno(), page_fd)
                boot = _BOOT.format(data=fds[0], control=fds[1], page=fds[2])
                path = os.pathsep.join(entry for entry in sys.path if entry)
                process = subprocess.Popen(  # noqa: S603 - our own interpreter and code
                    [
                        sys.executable,
                        "-c",
                        boot,
                        name,
                    ],  # the name is for whoever looks at the list of processes
                    stdin=subprocess.DEVNULL,
                    stdout=2,  # what a service prints must not mix with data on stdout
                    pass_fds=fds,
                    process_group=0,
                    env={**os.environ, "PYTHONPATH": path},
                )
            finally:
                os.close(page_fd)
        undo.pop_all()
    data.setblocking(False)
    control.setblocking(False)
    return Spawned(process, data, control, memory)


def _page_file() -> int:
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("page", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.truncate(fd, PAGE_BYTES)
    return fd
