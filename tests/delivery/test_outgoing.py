"""Posts to addresses that somebody typed in: https, public, no detours."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from pigeonry.delivery import outgoing
from pigeonry.errors import OutsideFailure, WrongUse


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user:pw@example.com/",
        "https://example.com:port/",
        "https://example.com/#x",
        "https://example.com\\@evil.example/",
        "https://exämple.com/",
        "https://example.com/a b",
        "https://example.com/\r\nX: y",
        "javascript:alert(1)",
        "example.com",
    ],
)
def test_only_plain_https_addresses_are_called(url: str) -> None:
    with pytest.raises(WrongUse):
        outgoing.target(url)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_private_networks_are_none_of_ours_to_call(address: str, public: bool) -> None:
    assert outgoing.public(address) is public


def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(far: Far) -> None:
    for name in ("localhost", "127.0.0.1", "2130706433", "0x7f.1"):
        with pytest.raises((WrongUse, OutsideFailure)):
            outgoing.post(f"https://{name}:{far.port}/", b"{}", {}, context=far.context)
    assert far.seen == []


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443))
        for ip in ("93.184.216.34", "10.0.0.1")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)
    with pytest.raises(WrongUse, match="private"):
        outgoing.post("https://example.com/", b"{}", {})


def test_it_arrives_whole_over_a_checked_connection(far: Far) -> None:
    url = f"https://localhost:{far.port}/hook?a=1"
    headers = {"Content-Type": "application/json", "webhook-id": "msg_1"}
    status = outgoing.post(url, b'{"a":1}', headers, allowed=anywhere, context=far.context)
    assert status == 200
    path, body, name = far.seen[0]
    assert (path, body, name) == ("/hook?a=1", b'{"a":1}', "msg_1")
    with pytest.raises(OutsideFailure):  # nobody vouches for that certificate
        outgoing.post(url, b"{}", {}, allowed=anywhere)


def test_a_redirect_is_an_answer_and_not_an_order(far: Far) -> None:
    url = f"https://localhost:{far.port}/redirect"
    assert outgoing.post(url, b"{}", {}, allowed=anywhere, context=far.context) == 302
    assert [path for path, _, _ in far.seen] == ["/redirect"]


def anywhere(_address: str) -> bool:
    return True


class Far:
    """Somebody else's server, with a certificate of its own."""

    def __init__(self, folder: Path) -> None:
        self.seen: list[tuple[str, bytes, str]] = []
        certificate = _certificate(folder)
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(certificate)
        self.context = ssl.create_default_context(cafile=str(certificate))
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                seen.append((self.path, body, self.headers.get("webhook-id", "")))
                self.send_response(302 if self.path == "/redirect" else 200)
                self.send_header("Location", "https://localhost/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_arguments: object) -> None:
                pass

        class Quiet(HTTPServer):
            def handle_error(self, *_arguments: object) -> None:
                pass  # a handshake that is broken off

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.server.socket = server_side.wrap_socket(self.server.socket, server_side=True)
        self.port = int(self.server.server_port)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Far]:
    found = Far(tmp_path)
    thread = threading.Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, SHA256())
    )
    file = folder / "far.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + made.public_bytes(Encoding.PEM))
    return file
