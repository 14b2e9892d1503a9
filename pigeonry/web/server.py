"""Runs the web app on a port until it is told to stop."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import sys
from typing import TYPE_CHECKING

from fastapi import FastAPI

from pigeonry.config import Home
from pigeonry.errors import OutsideFailure
from pigeonry.store.session import Database
from pigeonry.web.app import build_app

if TYPE_CHECKING:
    import uvicorn

_ARENA_MAX = -8  # M_ARENA_MAX of mallopt(3)
_STOP_SECONDS = 8  # for requests that are under way


def take(host: str, port: int) -> socket.socket:
    """The port, ours. Nobody can connect yet, so that nobody waits for the app to stand. Raises
    OutsideFailure when somebody else listens there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP: asyncio switches Nagle's delay off only then, 40 ms for each answer.
    taken = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        taken.bind((host, port))
    except OSError as error:
        taken.close()
        raise OutsideFailure(
            f"cannot listen there: {error.strerror or error}",
            where=f"{host}:{port}",
            fix="stop what uses that port, or set another web.host or web.port",
        ) from error
    return taken


def run(home: Home, db: Database, taken: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished first."""
    import uvicorn

    _share_heaps()
    # Doors and drain share one interpreter: at Python's own 5 ms a request would wait that long for the
    # drain at each of its steps.
    sys.setswitchinterval(0.0005)
    uvicorn.Server(config(build_app(home, db))).run(sockets=[taken])


def _share_heaps() -> None:
    """Threads share two heaps. By glibc's own rule each gets one that only grows: 80 MB more under load."""
    with contextlib.suppress(OSError, AttributeError):  # another libc has its own rules
        ctypes.CDLL("libc.so.6").mallopt(_ARENA_MAX, 2)


def config(app: FastAPI) -> uvicorn.Config:
    """How the app is served, whatever the port."""
    import uvicorn

    return uvicorn.Config(
        app,
        backlog=512,  # connections that wait to be taken
        access_log=False,  # a path holds a token, and a token names a person
        server_header=False,
        proxy_headers=False,  # X-Forwarded-For is read by ourselves, and only when a setting says so
        log_level="warning",
        limit_concurrency=1000,
        timeout_keep_alive=75,  # longer than a provider's pause between two posts
        timeout_graceful_shutdown=_STOP_SECONDS,
        h11_max_incomplete_event_size=32_000,
    )
