"""HubSpot's batch read of contacts on loopback, as its documentation describes it, and what it does on bad
days."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "pat-eu1-of-the-test"


@dataclass
class Portal:
    """`contacts` by id: (properties, updatedAt). `moods` are answered first, one a request: a status, or
    (status, headers)."""

    contacts: dict[str, tuple[dict[str, str], str]] = field(default_factory=dict)
    moods: list[int | tuple[int, dict[str, str]] | bytes] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)
    url: str = ""

    def answer(self, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        ids = [one["id"] for one in body["inputs"]]
        self.asked.append(ids)
        if len(ids) > 100:
            return 400, {"status": "error", "message": "too many"}
        results = []
        for contact in ids:
            if contact in self.contacts:
                values, updated = self.contacts[contact]
                wanted = {name: values.get(name) for name in body["properties"]}
                results.append(
                    {
                        "id": contact,
                        "properties": {**wanted, "hs_object_id": contact},
                        "createdAt": updated,
                        "updatedAt": updated,
                        "archived": False,
                    }
                )
        missing = len(ids) - len(results)
        answer: dict[str, Any] = {"status": "COMPLETE", "results": results}
        if missing:
            answer |= {"numErrors": missing, "errors": [{"category": "OBJECT_NOT_FOUND"}]}
        return (207 if missing else 200), answer


@contextmanager
def portal() -> Iterator[Portal]:
    found = Portal()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            headers: dict[str, str] = {}
            data = b"{}"
            if found.moods:
                mood = found.moods.pop(0)
                if isinstance(mood, bytes):
                    status, data = 200, mood
                else:
                    status, headers = (mood, {}) if isinstance(mood, int) else mood
            elif self.path != "/crm/v3/objects/contacts/batch/read":
                status = 404
            elif self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status = 401
            else:
                status, said = found.answer(body)
                data = json.dumps(said).encode()
            if status == 0:  # says nothing at all
                self.close_connection = True
                return
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
