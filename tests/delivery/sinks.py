"""An SMTP sink and a SendGrid-like server on loopback. Both log a key before they answer, and misbehave
on script."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from pigeonry.domain import OutgoingMessage


def outgoing(number: int = 1, to: str = "lead@example.com", **changes: Any) -> OutgoingMessage:
    key = f"{number:032x}"
    values: dict[str, Any] = {
        "send_key": key,
        "to_email": to,
        "to_name": "",
        "from_email": "salut@scoala.example",
        "from_name": "Școala",
        "reply_to": "",
        "subject": "Bună",
        "text": "Bună\n.\n..x\n",
        "html": "<p>Bună</p>",
        "unsubscribe_url": "https://m.example/u/x",
        "headers": {
            "Message-ID": f"<{key}@scoala.example>",
            "X-Pigeonry-Key": key,
            "X-Pigeonry-Campaign": "7",
        },
    }
    return OutgoingMessage(**{**values, **changes})


@dataclass
class SmtpSink:
    """`keys` in the order of arrival. `script` maps an address (or "*") to what happens:
    "450 text" etc. at RCPT, "data:450 text" as reply to the dot, "mail:...", "drop" = take it, then cut
    the line without an answer, "cut" = cut the line at RCPT."""

    script: dict[str, str] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    pipelining: bool = False
    servers: list[SMTP] = field(default_factory=list)

    def hang_up(self) -> None:
        """Close every connection, as a server does with idle ones."""
        for server in self.servers:
            if server.transport is not None:
                server.loop.call_soon_threadsafe(server.transport.close)

    def what(self, address: str, stage: str) -> str:
        found = self.script.get(address) or self.script.get("*", "")
        prefix, _, rest = found.partition(":")
        if prefix in ("data", "mail"):
            return rest if prefix == stage else ""
        return found if stage == "rcpt" and found not in ("drop",) else ""

    async def handle_EHLO(  # noqa: N802
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        hostname: str,
        responses: list[str],
    ) -> list[str]:
        session.host_name = hostname
        self.connections += 1
        self.servers.append(server)
        # aiosmtpd reads commands one by one, however they come.
        return (
            [*responses[:-1], "250-PIPELINING", *responses[-1:]] if self.pipelining else responses
        )

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if answer := self.what("*", "mail"):
            return answer
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        answer = self.what(address, "rcpt")
        if answer == "cut":
            assert server.transport is not None
            server.transport.abort()
            return "250 OK"
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        refusal = self.what(envelope.rcpt_tos[0], "data")
        if refusal:
            return refusal
        found = re.search(rb"^X-Pigeonry-Key: (\w+)", content, re.MULTILINE)
        self.keys.append(found[1].decode() if found else "")
        self.bodies.append(content)
        if self.script.get(envelope.rcpt_tos[0], self.script.get("*", "")) == "drop":
            assert server.transport is not None
            server.transport.abort()
        return f"250 2.0.0 Ok: queued as Q{len(self.keys)}"


@contextmanager
def smtp_sink(**script: str) -> Iterator[SmtpSink]:
    sink = SmtpSink(script={key.replace("any", "*"): value for key, value in script.items()})
    controller = Controller(sink, hostname="127.0.0.1", port=free_port())
    controller.start()
    sink.port = controller.port
    try:
        yield sink
    finally:
        controller.stop()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class ApiSink:
    """A SendGrid-like `/v3/mail/send`. `answer` gets the request's number from 0 and says what happens:
    a status, (status, headers), or "cut" = take it, then close without an answer."""

    answer: Callable[[int], Any]
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    connections: int = 0
    host: str = ""

    @property
    def keys(self) -> list[str]:
        return [body["personalizations"][0]["custom_args"]["send_key"] for body in self.requests]


@contextmanager
def api_sink(
    answer: Callable[[int], Any] = lambda _number: 202,
    lists: Callable[[str, dict[str, str]], Any] = lambda _path, _query: [],
) -> Iterator[ApiSink]:
    """`lists` gets path and query of a GET and returns rows or a status."""
    sink, lock = ApiSink(answer), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            super().setup()
            with lock:
                sink.connections += 1

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                number = len(sink.requests)
                sink.requests.append(body)
                sink.headers.append(dict(self.headers))
                sink.paths.append(self.path)
            said = sink.answer(number)
            if said == "cut":
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status, headers = said if isinstance(said, tuple) else (said, {})
            with contextlib.suppress(ConnectionError):  # the client may have given up
                self._answer(number, status, headers)

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            with lock:
                sink.paths.append(self.path)
            said = lists(parts.path, dict(parse_qsl(parts.query)))
            body = json.dumps([] if isinstance(said, int) else said).encode()
            self.send_response(said if isinstance(said, int) else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _answer(self, number: int, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in {
                "X-Message-Id": f"id{number}",
                "Content-Length": "2",
                **headers,
            }.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sink.host = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
