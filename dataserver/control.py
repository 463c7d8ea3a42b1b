"""The Unix socket of a running server: commands in, replies out, for whoever the file system lets in (mode 0600).

A message is four bytes of length and that many of MessagePack. One connection carries one command after the other.
Bounds: the length of a message, the number of connections, and the socket itself as the only buffer: a reader that
does not read stops the query it asked for. A caller that goes away cancels its command, a write only until it begins.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import anyio
import msgspec
import structlog
from anyio.abc import SocketStream, TaskGroup
from anyio.streams.buffered import BufferedByteReceiveStream
from anyio.streams.memory import MemoryObjectSendStream

from dataserver.background import background
from dataserver.commands import Chunk, Command, CommandFailed, Done, House, Reply, Step, perform

MAX_MESSAGE_BYTES: Final = 32 * 1024 * 1024
"""Twice the longest record that an import reads, and its fields' names."""
MAX_CONNECTION_COUNT: Final = 32

_LENGTH_BYTES = 4
_MAX_SOCKET_PATH_BYTES = 100  # sun_path holds 104 to 108, by system
_log = structlog.get_logger(__name__)


class Failed(msgspec.Struct, frozen=True, tag_field="is", tag="failed"):
    """The last reply: the command was not carried out."""

    kind: str
    message: str


class ControlError(Exception):
    """The other side of the socket broke the protocol, or went away before its last reply."""


_REPLIES = Chunk | Step | Done | Failed
_encoder = msgspec.msgpack.Encoder()
_commands = msgspec.msgpack.Decoder(Command)
_replies: msgspec.msgpack.Decoder[Reply | Failed] = msgspec.msgpack.Decoder(_REPLIES)


def framed(message: msgspec.Struct) -> bytes:
    """Return `message` with its length before it.

    Raises:
        ControlError: It is longer than a message may be; nothing was sent.
    """
    content = _encoder.encode(message)
    if len(content) > MAX_MESSAGE_BYTES:
        raise ControlError(f"a message of {len(content)} bytes; at most {MAX_MESSAGE_BYTES} are allowed")
    return len(content).to_bytes(_LENGTH_BYTES, "big") + content


async def receive_frame(stream: BufferedByteReceiveStream) -> bytes:
    """Return the content of the next message.

    Raises:
        anyio.EndOfStream: The other side closed between two messages.
        anyio.IncompleteRead: It closed within one.
        ControlError: The message is longer than one may be.
    """
    first = await stream.receive(1)
    length = int.from_bytes(first + await stream.receive_exactly(_LENGTH_BYTES - 1), "big")
    if length > MAX_MESSAGE_BYTES:
        raise ControlError(f"a message of {length} bytes; at most {MAX_MESSAGE_BYTES} are allowed")
    return await stream.receive_exactly(length)


async def receive_reply(stream: BufferedByteReceiveStream) -> Reply:
    """Return the next reply.

    Raises:
        CommandFailed: The server says so.
        ControlError: The server went away before its last reply: a write may have happened.
    """
    try:
        reply = _replies.decode(await receive_frame(stream))
    except (anyio.EndOfStream, anyio.IncompleteRead, anyio.BrokenResourceError) as error:
        raise ControlError("the server went away before it answered") from error
    except msgspec.DecodeError as error:
        raise ControlError(f"the server answered what this version cannot read: {error}") from error
    if isinstance(reply, Failed):
        raise CommandFailed(reply.kind, reply.message)
    return reply


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """Yield a name for the socket at `path` that is short enough for the kernel, be it by way of a symbolic link."""
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH_BYTES:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="dataserver-") as shortcut:
        link = Path(shortcut) / "d"
        link.symlink_to(path.parent, target_is_directory=True)
        yield str(link / path.name)


@asynccontextmanager
async def control_socket(path: Path, house: House) -> AsyncIterator[None]:
    """Take commands at `path` while the block runs; at its end, running ones are cancelled and the socket is gone."""
    await anyio.Path(path).unlink(
        missing_ok=True
    )  # the folder is ours, so what is left there is of a process that was killed
    with reachable(path) as name:
        listener = await anyio.create_unix_listener(name, mode=0o600)
    desk = _Desk(house)
    try:
        async with listener, background() as tasks:
            tasks.start_soon(listener.serve, desk.serve)
            yield
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.Path(path).unlink(missing_ok=True)


class _Desk:
    """The connections of one socket."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._connection_count = 0

    async def serve(self, stream: SocketStream) -> None:
        """Answer one connection until it ends."""
        async with stream:
            if self._connection_count >= MAX_CONNECTION_COUNT:
                await _send(stream, Failed("ServerBusy", f"{MAX_CONNECTION_COUNT} commands run already"))
                return
            self._connection_count += 1
            try:
                await self._converse(stream)
            except (anyio.BrokenResourceError, anyio.IncompleteRead):
                _log.info("control.caller_left")
            except (ControlError, msgspec.DecodeError) as error:
                _log.warning("control.message_refused", reason=str(error))
                await _send(stream, Failed("ProtocolBroken", str(error)))
            except Exception:  # noqa: BLE001 - a bug: it ends this connection and no other
                _log.exception("control.command_broke")
                await _send(stream, Failed("InternalError", "the server made a mistake; its log says more"))
            finally:
                self._connection_count -= 1

    async def _converse(self, stream: SocketStream) -> None:
        """Carry out one command after the other; a reader beside it notices when the caller leaves."""
        send, receive = anyio.create_memory_object_stream[bytes](0)
        failure: Exception | None = None

        async def listen(tasks: TaskGroup, out: MemoryObjectSendStream[bytes]) -> None:
            nonlocal failure
            buffered = BufferedByteReceiveStream(stream)
            async with out:
                try:
                    while True:
                        await out.send(await receive_frame(buffered))
                except anyio.EndOfStream:
                    pass
                except (anyio.BrokenResourceError, anyio.IncompleteRead, ControlError) as error:
                    failure = error
                tasks.cancel_scope.cancel()

        async with background() as tasks, receive:
            tasks.start_soon(listen, tasks, send)
            async for content in receive:
                await self._answer(stream, _commands.decode(content))
        if failure is not None:
            raise failure

    async def _answer(self, stream: SocketStream, command: Command) -> None:
        name = type(command).__name__
        try:
            async with aclosing(perform(command, self._house)) as replies:
                async for reply in replies:
                    await stream.send(framed(reply))
        except CommandFailed as failed:
            _log.info("control.command_failed", command=name, kind=failed.kind)
            await stream.send(framed(Failed(failed.kind, str(failed))))
        else:
            _log.debug("control.command_done", command=name)


async def _send(stream: SocketStream, message: msgspec.Struct) -> None:
    """Send a last word to a caller that may be gone already."""
    try:
        await stream.send(framed(message))
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        _log.debug("control.last_word_unheard")
