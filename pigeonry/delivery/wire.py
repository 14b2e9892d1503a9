"""Sockets that keep to a deadline, however slowly the other side drips.

A socket's own timeout is for each wait: a server that sends a byte a second never meets it.
"""

from __future__ import annotations

import io
import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from pigeonry.errors import ConfigError


def _awake() -> float:
    """Seconds that also pass while the machine sleeps, where the system tells (Linux)."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Deadline:
    """How long something may still take; a phase of it ends earlier, never later."""

    def __init__(self, seconds: float) -> None:
        self._end = self._phase_end = _awake() + seconds

    def phase(self, seconds: float) -> None:
        self._phase_end = min(self._end, _awake() + seconds)

    def left(self) -> float:
        """Seconds. Raises TimeoutError when there are none."""
        left = self._phase_end - _awake()
        if left <= 0:
            raise TimeoutError("no answer in time")
        return left


class _Reading(io.RawIOBase):
    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        self._sock, self._left = sock, left

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._left())
        return self._sock.recv_into(buffer)


def reader(sock: socket.socket, left: Callable[[], float]) -> io.BufferedReader:
    """What comes in, waiting at most `left()` seconds in total."""
    return io.BufferedReader(_Reading(sock, left))


def send(sock: socket.socket, data: bytes, left: Callable[[], float]) -> None:
    view = memoryview(data)
    while view:
        sock.settimeout(left())
        view = view[sock.send(view) :]  # over TLS at most a record


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """A connection to the first of the host's addresses that takes one. The system's own look-up of the
    name keeps to the system's limits."""
    error: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, 0, socket.SOCK_STREAM):
        found = socket.socket(family, kind, protocol)
        try:
            found.settimeout(deadline.left())
            found.connect(address)
        except OSError as failed:
            found.close()
            error = failed
            continue
        # Small writes (the final dot, a last byte) are packets of their own: without this they would
        # wait for an acknowledgement of what went before.
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return found
    raise error or OSError(f"{host} has no address")


def is_quiet(sock: socket.socket | None) -> bool:
    """False when an unused connection has something to read: its end, or a good-bye before it."""
    if sock is None or sock.fileno() < 0:
        return False
    if isinstance(sock, ssl.SSLSocket) and sock.pending():
        return False
    polling = select.poll()
    polling.register(sock, select.POLLIN)
    return not polling.poll(0)


def tls(ca_file: str = "", *, where: str = "") -> ssl.SSLContext:
    """The system's certificates, and those of a file beside them."""
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(ca_file)
        except OSError as error:  # also ssl.SSLError
            raise ConfigError(
                f"no certificates in {ca_file}: {error.strerror or error}",
                where=where,
                fix="name a PEM file with the certificates to trust",
            ) from error
    return context
