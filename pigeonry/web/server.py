"""Runs the web app on a port until it is told to stop."""

from __future__ import annotations

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

_STOP_SECONDS = 8  # for requests that are under way
_BACKLOG = 512  # connections that wait to be taken


def listen(host: str, port: int) -> socket.socket:
    """The port, taken. Raises OutsideFailure when somebody else has it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise OutsideFailure(
            f"cannot listen there: {error.strerror or error}",
            where=f"{host}:{port}",
            fix="stop what uses that port, or set another web.host or web.port",
        ) from error


def run(home: Home, db: Database, listening: socket.socket) -> None:
    """Serve until SIGTERM or Ctrl-C; requests under way are finished first."""
    import uvicorn

    # Doors and drain share one interpreter: at Python's own 5 ms a request would wait that long for the
    # drain at each of its steps.
    sys.setswitchinterval(0.0005)
    uvicorn.Server(config(build_app(home, db))).run(sockets=[listening])


def config(app: FastAPI) -> uvicorn.Config:
    """How the app is served, whatever the port."""
    import uvicorn

    return uvicorn.Config(
        app,
        access_log=False,  # a path holds a token, and a token names a person
        server_header=False,
        proxy_headers=False,  # X-Forwarded-For is read by ourselves, and only when a setting says so
        log_level="warning",
        limit_concurrency=1000,
        timeout_keep_alive=75,  # longer than a provider's pause between two posts
        timeout_graceful_shutdown=_STOP_SECONDS,
        h11_max_incomplete_event_size=32_000,
    )
