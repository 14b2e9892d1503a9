"""A home with sixty leads and a written campaign, for what happens in the studio."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pigeonry.config import Home, load_home
from pigeonry.domain import ConsentBasis, ConsentClaim
from pigeonry.service import campaigns, studio_briefs
from pigeonry.service.leads import import_leads
from pigeonry.store.session import Database

BRIEF = (Path(__file__).resolve().parents[2] / "examples/briefs/course-provider.toml").read_text(
    encoding="utf-8"
)
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
EXPRESS = ConsentClaim(ConsentBasis.EXPRESS, "test")


def small_home(home: Home, more: str = "") -> Home:
    """No models: words stand in for vectors, the copy library writes."""
    (home.path / "pigeonry.toml").write_text(
        f'[embedding]\nbackend = "hashing"\n[llm]\nlocal = false\n{more}', encoding="utf-8"
    )
    return load_home(home.path, env={})


def add_leads(db: Database, home: Home, folder: Path, number: int = 60) -> None:
    path = folder / "leads.csv"
    jobs = ("designer", "contabil", "profesor")
    rows = [f"p{n}@example.com,Ana,{jobs[n % 3]},RO" for n in range(number)]
    path.write_text("Email,Prenume,Ocupație,Țara\n" + "\n".join(rows) + "\n", encoding="utf-8")
    import_leads(db, home, path, mapping={}, consent=EXPRESS, dry_run=False, now=NOW)


def written(db: Database, home: Home, brief: str = BRIEF) -> int:
    """A campaign of that brief whose texts wait for a person."""
    draft = studio_briefs.take_in(db, home, brief, by="ana", now=NOW)
    number = studio_briefs.make_campaign(db, home, draft.id, now=NOW)
    campaigns.run_campaign(db, home, number, until="score", clock=lambda: NOW)
    return number


class FakePrefect:
    """The part of a Prefect server's API that starts a deployment."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.ready = True
        self.url = ""


@contextmanager
def fake_prefect() -> Iterator[FakePrefect]:
    fake = FakePrefect()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = "READY" if fake.ready else "NOT_READY"
            good = self.path == "/api/deployments/name/campaign/campaign"
            self._answer(200 if good else 404, {"id": "d-1", "status": status})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.asked.append((self.path, body))
            self._answer(201, {"id": "run-1"})

        def _answer(self, code: int, body: dict[str, str]) -> None:
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/api"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
