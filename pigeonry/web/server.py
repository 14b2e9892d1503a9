"""Runs the web app on a port until it is told to stop."""

from __future__ import annotations

from pigeonry.config import Home
from pigeonry.store.session import Database
from pigeonry.web.app import build_app

_STOP_SECONDS = 8  # for requests that are under way


def run(home: Home, db: Database) -> bool:
    """Serve until SIGTERM or Ctrl-C; False when it could not start, say because the port is taken."""
    import uvicorn

    web = home.settings.web
    config = uvicorn.Config(
        build_app(home, db),
        host=web.host,
        port=web.port,
        access_log=False,  # a path holds a token, and a token names a person
        server_header=False,
        date_header=True,
        proxy_headers=False,  # X-Forwarded-For is read by ourselves, and only when a setting says so
        log_level="warning",
        limit_concurrency=1000,
        timeout_keep_alive=75,  # longer than a provider's pause between two posts
        timeout_graceful_shutdown=_STOP_SECONDS,
        h11_max_incomplete_event_size=32_000,
    )
    server = uvicorn.Server(config)
    server.run()
    return server.started
