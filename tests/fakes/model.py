"""An OpenAI-compatible chat server on loopback that answers, and misbehaves, by script."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = {
    "subject": "A clear plan for weeks with clients",
    "preheader": "See how Zilio helps with clients and invoices.",
}
Answer = Callable[[dict[str, Any]], Any]


class FakeModel:
    """`script` is used up first, one item a request: a dict or text is the answer's content, a number
    an HTTP status, "hang" silence, "trickle" a byte now and then, "cut" an answer that hit its limit.
    After it `answer` is called with the request. `requests` keeps every body that arrived."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self.script: list[Any] = []
        self.answer: Answer = lambda request: GOOD
        self.url = ""

    def content(self, request: dict[str, Any]) -> Any:
        return self.script.pop(0) if self.script else self.answer(request)


@contextmanager
def running() -> Iterator[FakeModel]:
    fake = FakeModel()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(200, {"status": "ok"})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            fake.raw.append(body)
            request = json.loads(body)
            fake.requests.append(request)
            made = fake.content(request)
            if made == "hang":
                time.sleep(3)
                return
            if made == "trickle":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                for _ in range(15):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    time.sleep(0.2)
                return
            if isinstance(made, int):
                self._send(made, {"error": {"message": "scripted", "type": "x", "code": made}})
                return
            cut = made == "cut"
            text = '{"subject": "A clear' if cut else made if isinstance(made, str) else json.dumps(made)  # fmt: skip
            self._send(200, {
                "id": "x", "object": "chat.completion", "created": 1, "model": "fake-1",
                "choices": [{"index": 0, "finish_reason": "length" if cut else "stop",
                             "message": {"role": "assistant", "content": text}}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
            })  # fmt: skip

        def _send(self, status: int, data: Any) -> None:
            payload = json.dumps(data).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        def log_message(self, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    yield fake
    server.shutdown()
    server.server_close()
