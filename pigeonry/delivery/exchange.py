"""One HTTP request over a kept connection, and whether the other side can have taken it.

A request's last byte leaves apart: before it nobody has a whole request, so every failure up to there is
definite. After it only an answer counts.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from typing import BinaryIO, cast
from urllib.parse import urlsplit

from pigeonry.delivery import wire
from pigeonry.domain.failpoint import failpoint

_IDLE_SECONDS = 15.0  # well below what load balancers keep
_LONGEST_ANSWER = 8 * 1024 * 1024


class NeverLeft(OSError):
    """The request was not whole on the wire: nobody can have taken it."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: str
    headers: Message
    body: bytes


class _Incoming:
    """What http.client wants of a socket, for reading."""

    def __init__(self, sock: socket.socket, deadline: wire.Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def makefile(self, _mode: str) -> BinaryIO:
        return cast("BinaryIO", wire.reader(self._sock, self._deadline.left))


class Connections:
    """Connections to one host; safe to use from several threads. Speaks to it directly, by no proxy."""

    def __init__(self, base_url: str, seconds: float) -> None:
        """`seconds` limits each of three phases: connecting with TLS, the request, the whole answer."""
        parts = urlsplit(base_url)
        self._tls = wire.tls() if parts.scheme == "https" else None
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._tls else 80)
        self._netloc = parts.netloc
        self._seconds = seconds
        self._idle: list[tuple[socket.socket, float]] = []
        self._lock = threading.Lock()

    def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Raises NeverLeft when nobody can have taken the request; OSError or HTTPException when there was no
        answer to it, which proves nothing."""
        data = _request(method, path, {"Host": self._netloc, **headers}, body)
        deadline = wire.Deadline(3 * self._seconds)
        while True:
            deadline.phase(self._seconds)
            sock, fresh = self._take(deadline)
            try:
                deadline.phase(self._seconds)
                failpoint("sendgrid.before_request")
                wire.send(sock, data[:-1], deadline.left)
                wire.send(sock, data[-1:], deadline.left)
                break
            except OSError as error:
                sock.close()
                if fresh:
                    raise NeverLeft(f"the request broke off: {error}") from error
                # An old connection that the other side had closed: once more on another.
            except BaseException:
                sock.close()
                raise
        try:
            deadline.phase(self._seconds)
            answer, reusable = _read(sock, method, deadline)
            failpoint("sendgrid.after_answer")
        except BaseException:
            sock.close()
            raise
        self._put_back(sock, reusable)
        return answer

    def close(self) -> None:
        with self._lock:
            lines, self._idle = self._idle, []
        for sock, _ in lines:
            sock.close()

    def _take(self, deadline: wire.Deadline) -> tuple[socket.socket, bool]:
        """A connection, and whether it is a new one."""
        while True:
            with self._lock:
                if not self._idle:
                    break
                sock, used_at = self._idle.pop()
            if time.monotonic() - used_at < _IDLE_SECONDS and wire.is_quiet(sock):
                return sock, False
            sock.close()
        try:
            sock = wire.connect(self._host, self._port, deadline)
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
            raise NeverLeft(f"cannot connect: {error}") from error
        if self._tls is None:
            return sock, True
        try:
            sock.settimeout(deadline.left())
            return self._tls.wrap_socket(sock, server_hostname=self._host), True
        except (OSError, ssl.SSLError) as error:
            sock.close()
            raise NeverLeft(f"no secure connection: {error}") from error

    def _put_back(self, sock: socket.socket, reusable: bool) -> None:
        if not reusable:
            sock.close()
            return
        with self._lock:
            self._idle.append((sock, time.monotonic()))


def _request(method: str, path: str, headers: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [f"Content-Length: {len(body)}"] if body or method != "GET" else []
    if any(set(line) & {"\r", "\n"} for line in lines):
        raise NeverLeft("a line break may not stand in a request's head; is there one in the key?")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def _read(sock: socket.socket, method: str, deadline: wire.Deadline) -> tuple[Answer, bool]:
    """The answer, and whether the connection may be used again. The status is the answer: what
    breaks in the body that follows takes nothing back."""
    incoming = cast("socket.socket", _Incoming(sock, deadline))
    response = http.client.HTTPResponse(incoming, method=method)
    response.begin()
    reusable = not response.will_close
    try:
        body = response.read(_LONGEST_ANSWER)
        reusable = reusable and response.isclosed()
    except http.client.IncompleteRead as error:
        body, reusable = error.partial, False
    except (OSError, http.client.HTTPException):
        body, reusable = b"", False
    return Answer(response.status, response.reason, response.headers, body), reusable
