"""A web app over a real database, with a campaign that has left, a tracker, and a key that signs as
SendGrid does."""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI
from sqlalchemy import select, update

from pigeonry.config import Home, Settings
from pigeonry.delivery.links import Links, load_links
from pigeonry.delivery.tracking import TrackedLinks, Tracker
from pigeonry.domain.address import address_hash
from pigeonry.service.events import drain_events
from pigeonry.service.tracking import mark_links
from pigeonry.store.models import Event, Lead, Message, RawEvent, Suppression
from pigeonry.store.session import Database
from pigeonry.web.app import build_app
from pigeonry.web.hooks.sendgrid import KEYS, SIGNATURE, TIMESTAMP
from pigeonry.web.server import config, take
from tests.delivery.world import START, World

NOW = START + timedelta(hours=3)
LINK = "https://example.com/curs?ref=a&b=1"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"


class Signer:
    """Signs as SendGrid does, with a key of the test's own."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    @property
    def public(self) -> str:
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    def headers(self, body: bytes, timestamp: str) -> dict[str, str]:
        signature = self.key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
        return {SIGNATURE: base64.b64encode(signature).decode(), TIMESTAMP: timestamp}


@dataclass
class Site:
    """What a test needs of the running app."""

    app: FastAPI
    client: httpx.Client
    port: int
    home: Home
    database: Database
    world: World
    signer: Signer
    links: Links
    tracked: TrackedLinks
    moment: list[datetime] = field(default_factory=lambda: [NOW])

    @property
    def tracker(self) -> Tracker:
        return self.tracked.tracker

    def post_events(
        self,
        body: bytes | list[dict[str, Any]],
        *,
        at: datetime | None = None,
        **headers: str,
    ) -> Any:
        """POST /hooks/sendgrid, signed."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        timestamp = str(int((at or self.moment[0]).timestamp()))
        signed = self.signer.headers(data, timestamp)
        return self.client.post("/hooks/sendgrid", content=data, headers={**signed, **headers})

    def drain(self) -> Any:
        return drain_events(self.database, self.home, now=self.moment[0])

    def raw(self, source: str = "") -> list[RawEvent]:
        with self.database.read() as session:
            rows = session.scalars(select(RawEvent).order_by(RawEvent.id))
            return [row for row in rows if source in ("", row.source)]

    def events(self) -> list[Event]:
        with self.database.read() as session:
            return list(session.scalars(select(Event).order_by(Event.id)))

    def suppressed(self) -> dict[str, str]:
        """Reason by keyed hash."""
        with self.database.read() as session:
            return {row.address_hash: row.reason for row in session.scalars(select(Suppression))}

    def unsubscribe_path(self, number: int = 1) -> str:
        lead, campaign = self.world.lead_ids[number - 1], self.world.campaign_id
        return f"/u/{self.links.unsubscribe_token(lead, campaign)}"

    def path(self, url: str) -> str:
        return "/" + url.split("/", 3)[3]

    def counts(self) -> dict[str, int]:
        return dict(self.client.get("/health").json()["counts"])

    def secret(self, name: str, value: str) -> None:
        folder = self.home.path / "secrets"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(value)


@pytest.fixture
def web(home: Home, database: Database) -> Iterator[Site]:
    settings = Settings.model_validate(
        {
            "tracking": {"base_url": "https://go.example.com"},
            "links": {"base_url": "https://mail.example.com"},
            "crm": {"shop": {"kind": "generic"}},
        }
    )
    home = Home(home.path, settings)
    world = World(database, leads=3)
    key = home.secret("suppression.key")
    with database.write() as session:
        for lead in session.scalars(select(Lead)):
            lead.address_hash = address_hash(lead.email, key)
    world.plan()
    with database.write() as session:
        session.execute(
            update(Message).values(state="accepted", accepted_at=START, handover_at=START)
        )
        for message in session.scalars(select(Message)):
            message.address_hash = session.get_one(Lead, message.lead_id).address_hash
    tracked = mark_links(database, home, world.campaign_id, LINK)
    assert tracked is not None
    signer = Signer()
    moment = [NOW]
    app = build_app(home, database, clock=lambda: moment[0], drain=False)
    with running(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        client.headers["user-agent"] = FIREFOX
        site = Site(
            app, client, port, home, database, world, signer, load_links(home), tracked, moment
        )
        site.secret(KEYS, signer.public)
        yield site


@contextmanager
def locked(web: Site) -> Iterator[sqlite3.Connection]:
    """Another program holds the database's one write lock."""
    path = web.database.url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        other.close()


@contextmanager
def running(app: Any) -> Iterator[int]:
    """The app behind a real port of the loopback."""
    served = config(app)
    served.timeout_graceful_shutdown = 2
    server = uvicorn.Server(served)
    listening = take("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def event(number: int = 1, **values: Any) -> dict[str, Any]:
    """An event of SendGrid's, about nobody unless `send_key` says so."""
    return {
        "email": f"lead{number}@example.com",
        "timestamp": int((NOW - timedelta(minutes=30)).timestamp()),
        "event": "delivered",
        "sg_event_id": f"event-{number}",
        "sg_message_id": f"m{number}.recv.0",
        **values,
    }
