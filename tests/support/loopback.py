"""Servers on the loopback address that behave well or badly, each on a thread of its own, for the network checks."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from aioice import stun
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from pathlib import Path

HOST = "127.0.0.1"
_LOOK_S = 0.05

Handler = Callable[[socket.socket], None]


@contextmanager
def tcp_server(handle: Handler, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve each connection on a thread; yield the port."""
    with socket.create_server((HOST, 0), backlog=64) as door:
        door.settimeout(_LOOK_S)
        is_open = threading.Event()
        is_open.set()
        threads: list[threading.Thread] = []
        live: list[socket.socket] = []

        def serve(sock: socket.socket) -> None:
            with contextlib.suppress(OSError, ValueError):
                connection = sock if context is None else context.wrap_socket(sock, server_side=True)
                with connection:
                    handle(connection)
            sock.close()

        def accept() -> None:
            while is_open.is_set():
                with contextlib.suppress(TimeoutError):
                    sock, _ = door.accept()
                    sock.settimeout(20.0)
                    live.append(sock)
                    thread = threading.Thread(target=serve, args=(sock,))
                    thread.start()
                    threads.append(thread)

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield door.getsockname()[1]
        finally:
            is_open.clear()
            accepting.join()
            for sock in live:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def http(status: str = "204 No Content", headers: str = "", body: bytes = b"") -> Handler:
    """Answer every request of a connection alike."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode()

    def handle(sock: socket.socket) -> None:
        with sock.makefile("rb") as incoming:
            while request := _request(incoming):
                method, length = request
                for _ in range(length // 65_536 + 1):
                    incoming.read(min(65_536, length))
                    length -= min(65_536, length)
                sock.sendall(head if method == "HEAD" else head + body)

    return handle


class AnsweringSome:
    """Answers the first requests it gets, over all its connections, and no other."""

    def __init__(self, count: int) -> None:
        self._left = count

    def __call__(self, sock: socket.socket) -> None:
        with sock.makefile("rb") as incoming:
            while _request(incoming):
                self._left -= 1
                if self._left < 0:
                    silent(sock)
                    return
                sock.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


def _request(incoming: Iterator[bytes]) -> tuple[str, int] | None:
    """Read the head of a request; None at the end."""
    first = next(incoming, b"").decode()
    length = 0
    for line in incoming:
        if line == b"\r\n":
            break
        name, _, value = line.decode().partition(":")
        if name.lower() == "content-length":
            length = int(value)
    return (first.split(" ")[0], length) if first else None


def silent(sock: socket.socket) -> None:
    """Read and never answer."""
    while sock.recv(65_536):
        pass


def hanging_up(sock: socket.socket) -> None:
    """Read a little, then reset the connection."""
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def saying_nonsense(sock: socket.socket) -> None:
    sock.recv(1)
    sock.sendall(b"220 this is another protocol\r\n\r\n")
    while sock.recv(65_536):
        pass


def breaking_off(sock: socket.socket) -> None:
    """Promise much, send little, hang up."""
    sock.recv(65_536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000))


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server((HOST, 0)) as door:
        port: int = door.getsockname()[1]
        return port


@contextmanager
def udp_server(answer: Callable[[bytes, tuple[str, int]], list[bytes]]) -> Iterator[int]:
    """Answer each packet with packets; yield the port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.settimeout(_LOOK_S)
        is_open = threading.Event()
        is_open.set()

        def serve() -> None:
            while is_open.is_set():
                with contextlib.suppress(TimeoutError):
                    packet, address = sock.recvfrom(2_048)
                    for each in answer(packet, address):
                        sock.sendto(each, address)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield sock.getsockname()[1]
        finally:
            is_open.clear()
            thread.join()


def bound(packet: bytes, address: tuple[str, int]) -> list[bytes]:
    """Answer as a STUN server does, after some packets that are no answers."""
    request = stun.parse_message(packet)
    stranger = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, b"another tid.", {})
    answer = stun.Message(
        stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id, {"XOR-MAPPED-ADDRESS": address}
    )
    return [b"nonsense", bytes(stranger), bytes(answer)]


def refusing(packet: bytes, _: tuple[str, int]) -> list[bytes]:
    """Answer that the request was bad."""
    request = stun.parse_message(packet)
    attributes = {"ERROR-CODE": (400, "Bad Request")}
    return [bytes(stun.Message(stun.Method.BINDING, stun.Class.ERROR, request.transaction_id, attributes))]


class DeafAtFirst:
    """Answers only the packet number `nth`."""

    def __init__(self, nth: int) -> None:
        self._nth = nth
        self._count = 0

    def __call__(self, packet: bytes, address: tuple[str, int]) -> list[bytes]:
        self._count += 1
        return bound(packet, address) if self._count >= self._nth else []


def certificate_in(folder: Path, host: str = HOST) -> tuple[ssl.SSLContext, str]:
    """Make a certificate for `host`, and return a server's context with it and the certificate as text."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(pem + secret)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context, pem.decode()
