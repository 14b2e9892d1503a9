"""Servers on loopback that speak TLS with a certificate of the test's own, or say word for word what a
script says."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.delivery.sinks import SmtpSink, free_port


def wait_until(true: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


@dataclass(frozen=True)
class Certificate:
    """Signed by itself, for 127.0.0.1."""

    path: str
    server: ssl.SSLContext


def make_certificate(folder: Path) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    found = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path, both = folder / "ca.pem", folder / "server.pem"
    path.write_bytes(found.public_bytes(serialization.Encoding.PEM))
    both.write_bytes(
        path.read_bytes()
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return Certificate(str(path), context)


@dataclass
class SecureSink(SmtpSink):
    """Takes mail only over TLS and after a login with the password "right"."""

    logins: list[tuple[str, bool]] = field(default_factory=list)

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        good = data.password == b"right"
        self.logins.append((data.login.decode(), good))
        return AuthResult(success=good, handled=False)


@contextmanager
def secure_sink(certificate: Certificate, security: str) -> Iterator[SecureSink]:
    sink = SecureSink()
    implicit = security == "tls"
    controller = Controller(
        sink,
        hostname="127.0.0.1",
        port=free_port(),
        ssl_context=certificate.server if implicit else None,
        tls_context=None if implicit else certificate.server,
        require_starttls=not implicit,
        authenticator=sink.authenticate,
        auth_required=True,
        auth_require_tls=not implicit,  # it knows only of its own STARTTLS
    )
    with contextlib.suppress(ssl.SSLError):  # its own first look is met by its own certificate
        controller.start()
    sink.port = controller.port
    try:
        yield sink
    finally:
        controller.stop()


@dataclass
class Talker:
    """`heard` is what came in before each line of the script."""

    port: int
    heard: list[bytes] = field(default_factory=list)


@contextmanager
def talking(
    script: Sequence[bytes],
    *,
    end: str = "cut",
    greets: bool = True,
    pause: float = 0.05,
    tls: ssl.SSLContext | None = None,
) -> Iterator[Talker]:
    """Says the next part of the script each time that the client has said something (the first at once), or
    has sent a whole HTTP request (not `greets`), to everybody who connects. After the last part `end`: "silence", "cut", "reset"; "drip" sends the
    last part a byte at a time."""
    listener = socket.create_server(("127.0.0.1", 0))
    found = Talker(listener.getsockname()[1])
    over = threading.Event()

    def converse(connection: socket.socket) -> None:
        if tls is not None:
            connection = tls.wrap_socket(connection, server_side=True)
        with connection:
            data = False
            for number, part in enumerate(script):
                if not greets:
                    found.heard.append(_request(connection))
                elif number:
                    found.heard.append(_heard(connection, data))
                data = b"354" in part
                if end == "drip" and number == len(script) - 1:
                    for byte in part:
                        connection.sendall(bytes([byte]))
                        if over.wait(pause):
                            return
                else:
                    connection.sendall(part)
            if end in ("silence", "drip"):
                over.wait(20)
            elif end == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_quietly, args=(converse, connection), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


@contextmanager
def cutting(read: int, *, reset: bool) -> Iterator[int]:
    """Reads so many bytes of whatever comes, then closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            if read:
                connection.recv(read, socket.MSG_WAITALL)
            if reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    thread = threading.Thread(target=_quietly, args=(lambda _: serve(), listener), daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()
        thread.join(5)


def _heard(connection: socket.socket, data: bool) -> bytes:
    """One write of the client's, or a whole body up to its final dot."""
    heard = connection.recv(65536)
    while data and heard and not heard.endswith(b"\r\n.\r\n"):
        more = connection.recv(65536)
        if not more:
            break
        heard += more
    return heard


def _request(connection: socket.socket) -> bytes:
    """A whole HTTP request."""
    heard, missing = b"", 1
    while missing > 0 and (more := connection.recv(65536)):
        heard += more
        head, end, body = heard.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        missing = (int(length[1]) if length else 0) - len(body) if end else 1
    return heard


def _quietly(converse: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the client gave up
        converse(connection)
