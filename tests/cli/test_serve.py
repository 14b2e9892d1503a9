"""What `serve` asks of a Prefect server that is still busy. The real one is in tests/e2e."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pigeonry.cli import serve
from pigeonry.errors import OutsideFailure


@contextmanager
def server(*answers: int) -> Iterator[tuple[str, list[int]]]:
    """A loopback server that gives these status codes in turn; its URL and what it gave."""
    given: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            given.append(answers[len(given)])
            self.send_response(given[-1])
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

    found = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{found.server_port}/api/work_pools/", given
    finally:
        found.shutdown()
        thread.join()
        found.server_close()


def test_a_busy_prefect_server_is_asked_again() -> None:
    with server(503, 503, 201) as (url, given):
        serve._post(url, {"name": "pigeonry"})
    assert given == [503, 503, 201]


def test_what_exists_already_is_as_good() -> None:
    with server(409) as (url, given):
        serve._post(url, {"name": "pigeonry"})
    assert given == [409]


def test_another_refusal_is_said_at_once() -> None:
    with (
        server(422) as (url, given),
        pytest.raises(OutsideFailure, match="answered 422"),
    ):
        serve._post(url, {"name": "pigeonry"})
    assert given == [422]
