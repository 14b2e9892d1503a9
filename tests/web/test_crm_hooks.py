"""CRM doors: each source is let in by its own way alone, and is told yes only when its news is on the disk."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select

from pigeonry.config import Home, Settings
from pigeonry.service.crm import drain_crm, secret_name
from pigeonry.store import leads
from pigeonry.store.models import RawEvent
from pigeonry.store.session import Database
from pigeonry.web.app import build_app
from pigeonry.web.crm_drain import CrmSteps
from pigeonry.web.hooks import crm_signatures as signatures
from tests import crm_bodies as bodies
from tests.crm_bodies import AT
from tests.web.conftest import running
from tests.web.test_crm_signatures import v3

BASE = "https://mail.example.com"
SECRETS = {
    "hub": "hubspot-secret,hubspot-new",
    "sf": "salesforce-token",
    "pipe": "crm:pass,word",
    "shop": "whsec_" + base64.b64encode(b"shop-secret-of-32-bytes-or-so").decode(),
}
PERSON = {"Id": "003A", "SystemModstamp": bodies.iso(), "Email": "ana@exemplu.ro"}


@dataclass
class Prefect:
    """What the web app asks of a Prefect server, and what it is told."""

    url: str = ""
    port: int = 0
    state: str = "SCHEDULED"
    started: list[dict[str, Any]] = field(default_factory=list)


@pytest.fixture(scope="module")
def prefect() -> Iterator[Prefect]:
    found = Prefect()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = {"/api/deployments/name/intake/crm": {"id": "d1"}}
            self._say(known.get(self.path, {"state_type": found.state}))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.started.append(body)
            self._say({"id": "run-1"} if self.path.endswith("/d1/create_flow_run") else {})

        def _say(self, value: dict[str, Any]) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(value).encode())

        def log_message(self, *_args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Doors:
    app: FastAPI
    client: httpx.Client
    home: Home
    database: Database

    def raw(self) -> list[RawEvent]:
        with self.database.read() as session:
            return list(session.scalars(select(RawEvent).order_by(RawEvent.id)))

    def drain(self) -> dict[str, int]:
        return drain_crm(self.database, self.home, now=AT).counts()

    def post(self, path: str, body: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
        return self.client.post(f"/hooks/crm/{path}", content=body, headers=headers or {})


@pytest.fixture
def doors(home: Home, database: Database, prefect: Prefect) -> Iterator[Doors]:
    prefect.started.clear()
    settings = Settings.model_validate(
        {
            "links": {"base_url": BASE},
            "prefect": {"port": prefect.port},
            "crm": {
                "hub": {"kind": "hubspot"},
                "sf": {"kind": "salesforce"},
                "pipe": {"kind": "pipedrive"},
                "shop": {"kind": "generic"},
            },
        }
    )
    home = Home(home.path, settings)
    home.secret("suppression.key")
    for source, text in SECRETS.items():
        (home.path / "secrets" / secret_name(source)).write_text(text)
    app = build_app(home, database, clock=lambda: AT, drain=False)
    with running(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        yield Doors(app, client, home, database)


def hubspot(
    body: bytes, path: str = "/hooks/crm/hub", key: str = "hubspot-secret"
) -> dict[str, str]:
    return v3(key.encode(), "POST", BASE + path, body, str(bodies.ms()))


def standard(body: bytes, name: str = "msg_1", at: datetime = AT) -> dict[str, str]:
    stamp = str(int(at.timestamp()))
    mac = hmac.digest(
        b"shop-secret-of-32-bytes-or-so", f"{name}.{stamp}.".encode() + body, "sha256"
    )
    return {
        signatures.STANDARD_ID: name,
        signatures.STANDARD_TIMESTAMP: stamp,
        signatures.STANDARD: f"v1,{base64.b64encode(mac).decode()}",
    }


def basic(pair: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def test_each_source_is_let_in_by_its_own_way(doors: Doors) -> None:
    events = bodies.body([bodies.hubspot("creation", 17)])
    assert doors.post("hub", events, hubspot(events)).status_code == 200
    more = events + b" "
    signed = hubspot(more, "/hooks/crm/hub?a=x%3Ay", "hubspot-new")
    signed = v3(b"hubspot-new", "POST", f"{BASE}/hooks/crm/hub?a=x:y", more, str(bodies.ms()))
    assert doors.post("hub?a=x%3Ay", more, signed).status_code == 200

    answer = doors.post("sf/salesforce-token", bodies.salesforce(PERSON))
    assert answer.status_code == 200
    assert b"<Ack>true</Ack>" in answer.content
    assert answer.headers["content-type"].startswith("text/xml")

    person = bodies.body(
        bodies.pipedrive("create", 7, data={"emails": [{"value": "i@exemplu.ro"}]})
    )
    assert doors.post("pipe", person, basic("crm:pass,word")).status_code == 200
    assert doors.post("pipe/crm:pass,word", person + b" ").status_code == 200

    lead = bodies.body(bodies.generic("c1", email="maria@exemplu.ro"))
    assert doors.post("shop", lead, standard(lead)).status_code == 200
    assert [row.source for row in doors.raw()] == [
        "crm:hub", "crm:hub", "crm:sf", "crm:pipe", "crm:pipe", "crm:shop",
    ]  # fmt: skip
    assert doors.raw()[0].body == events
    assert doors.drain()["created"] == 3
    with doors.database.read() as session:
        assert leads.by_email(session, "ana@exemplu.ro") is not None


def test_nobody_else_gets_in_and_nothing_of_theirs_is_kept(doors: Doors) -> None:
    events = bodies.body([bodies.hubspot("creation", 17)])
    soap = bodies.salesforce(PERSON)
    good = hubspot(events)
    v1 = {
        signatures.OLDER: hashlib.sha256(b"hubspot-secret" + events).hexdigest(),
        signatures.OLDER_VERSION: "v1",
    }
    tries: list[tuple[str, bytes, dict[str, str]]] = [
        ("hub", events, {}),
        ("hub", events, v1),
        ("hub", events + b" ", good),
        ("hub?a=1", events, good),
        ("hub", events, {**good, "Host": "evil.example", "X-Forwarded-Host": "mail.example.com"}
         | {signatures.V3: "A" * 44}),
        ("hub", events, hubspot(events, key="guess")),
        ("hub/hubspot-secret", events, {}),
        ("sf", soap, {}),
        ("sf/salesforce", soap, {}),
        ("sf/SALESFORCE-TOKEN", soap, {}),
        ("pipe", b"{}", {}),
        ("pipe", b"{}", basic("crm:pass")),
        ("pipe/crm", b"{}", {}),
        ("shop", b"{}", standard(b"{} ")),
        ("shop/" + SECRETS["shop"], b"{}", {}),
    ]  # fmt: skip
    codes = [doors.post(path, body, headers).status_code for path, body, headers in tries]
    assert codes == [401] * len(tries)
    assert doors.post("nobody", events, good).status_code == 404
    bomb = b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 9000 + b'">]><x>' + b"&a;" * 9000 + b"</x>"
    for wrong in (bomb, b"<x/>", b"", b"{}"):
        assert doors.post("sf/salesforce-token", wrong).status_code == 400
    for source in SECRETS:
        (doors.home.path / "secrets" / secret_name(source)).write_text(" \n")
    for path in ("hub", "sf/salesforce-token", "sf/", "pipe/x", "shop"):
        assert doors.post(path, events, good).status_code in (503, 404)
    assert doors.raw() == []


def test_the_web_app_asks_prefect_with_ids_alone_and_helps_itself_when_that_comes_to_nothing(
    doors: Doors, prefect: Prefect
) -> None:
    site = doors.app.state.site
    lead = bodies.body(bodies.generic("c1", email="maria@exemplu.ro"))
    doors.post("shop", lead, standard(lead))
    asker = CrmSteps(site)

    assert asker.step() < 5
    assert asker.step() < 5  # the run is on its way: nothing is started twice
    assert prefect.started == [
        {"parameters": {"home": str(doors.home.path), "crm": 1}, "idempotency_key": "crm-1"}
    ]
    assert doors.raw()[0].drained_at is None
    prefect.state = "CRASHED"
    asker.step()
    prefect.state = "SCHEDULED"
    assert doors.raw()[0].drained_at is not None
    assert asker.step() > 5
    with doors.database.read() as session:
        assert leads.by_email(session, "maria@exemplu.ro") is not None
