"""The events of `benchmarks.events`, the mails that they are about, and what has to come of them.

The oracle shares nothing with the code under test: it ranks the provider's own words by a table of its own
and reads the database with the standard library.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pigeonry.config import Home
from pigeonry.domain.address import address_hash
from pigeonry.prove.world import make_campaign
from pigeonry.store.bulk import add_rows
from pigeonry.store.models import Lead, Message
from pigeonry.store.session import Database

SENT = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"

# The lattice as the design states it, in SendGrid's words, weakest first; and what we call each.
_STRENGTH = (
    "", "processed", "deferred", "delivered", "open", "click", "dropped", "blocked", "bounce",
    "unsubscribe", "complaint",
)  # fmt: skip
_CALLED = {"group_unsubscribe": "unsubscribe", "spamreport": "complaint"}
_REASONS = ("", "bounce", "unsubscribe", "complaint")


@dataclass
class Corpus:
    """`bodies` are distinct events as JSON. The rest is the oracle's."""

    bodies: list[bytes] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)  # event id -> kind
    status: dict[str, str] = field(default_factory=dict)  # send key -> strongest
    stopped: dict[int, str] = field(default_factory=dict)  # number of the mail -> reason
    keys: list[str] = field(default_factory=list)  # send keys by number
    corrupt: list[bytes] = field(default_factory=list)

    def evil(self, number: int) -> bytes:
        """An event of a forger: it must leave no trace."""
        return _json(
            {
                "email": address(0),
                "event": "spamreport",
                "sg_event_id": f"evil-{number}",
                "timestamp": int(SENT.timestamp()) + 60,
                "send_key": self.keys[0],
            }
        )


def address(number: int) -> str:
    return f"lead{number}@example.com"


def corpus(events: int, lot: random.Random) -> Corpus:
    made = Corpus()
    while len(made.bodies) < events:
        number = len(made.keys)
        key = f"{lot.getrandbits(128):032x}"
        made.keys.append(key)
        made.status[key] = ""
        for offset, word, more in _story(lot)[: events - len(made.bodies)]:
            _add(made, number, key, offset, word, more, lot)
    made.corrupt = [
        b"17",
        b'"text"',
        b"null",
        b"[]",
        b'{"event": "open"}',
        b'{"event": "open", "timestamp": NaN, "sg_event_id": "nan"}',
        b'{"event": "open", "timestamp": 1e999, "sg_event_id": "inf"}',
        b'{"event": "open", "timestamp": "yesterday", "sg_event_id": "day"}',
        b'{"timestamp": 1700000000, "sg_event_id": "wordless"}',
        b'{"event": "open", "event": "click", "timestamp": 1700000000, "sg_event_id": "twice"}',
        b'{"event": "open", broken}',
    ]
    return made


def _story(lot: random.Random) -> list[tuple[int, str, dict[str, Any]]]:
    """What happens to one mail: seconds after it left, the provider's word, further fields."""
    fate = lot.random()
    if fate < 0.01:
        return [(1, "dropped", {"reason": lot.choice(["Spam Content", "Bounced Address"])})]
    told: list[tuple[int, str, dict[str, Any]]] = [(1, "processed", {})]
    if lot.random() < 0.05:
        told.append((3, "deferred", {"response": "451 try later", "attempt": "1"}))
    if fate < 0.04:
        return [*told, (9, "bounce", {"type": "bounce", "status": "5.1.1", "reason": "550 no"})]
    if fate < 0.05:
        return [*told, (9, "bounce", {"type": "blocked", "status": "5.7.1", "reason": "550 no"})]
    told.append((10, "delivered", {"response": "250 OK"}))
    seen = {"useragent": BROWSER, "ip": "203.0.113.7"}
    if lot.random() < 0.3:
        told.append((20, "open", {**seen, "sg_machine_open": True}))
    if lot.random() < 0.5:
        told.append((7200 + lot.randrange(9000), "open", {**seen, "sg_machine_open": False}))
    if lot.random() < 0.15:
        told.append((18000 + lot.randrange(900), "click", {**seen, "url": "https://a.example/"}))
    if lot.random() < 0.02:
        told.append((20000, lot.choice(["unsubscribe", "group_unsubscribe"]), {}))
    if lot.random() < 0.005:
        told.append((21000, "spamreport", {}))
    if lot.random() < 0.01:
        told.append((30000, "something_new", {"field": "unknown"}))
    return told


def _add(
    made: Corpus,
    number: int,
    key: str,
    offset: int,
    word: str,
    more: dict[str, Any],
    lot: random.Random,
) -> None:
    event_id = f"{lot.getrandbits(96):024x}-{word}"
    body = {
        "email": address(number),
        "timestamp": int(SENT.timestamp()) + offset,
        "event": word,
        "sg_event_id": event_id,
        "sg_message_id": f"m{number}.recvd-5f-{number % 97}.0",
        "smtp-id": f"<{key}@example.com>",
        "category": ["campaign-1"],
        "send_key": key,
        **more,
    }
    made.bodies.append(_json(body))
    kind = _CALLED.get(word, word)
    if more.get("type") == "blocked":
        kind = "blocked"
    made.kinds[event_id] = kind if kind in _STRENGTH else "other"
    counted = "delivered" if more.get("sg_machine_open") else kind
    if counted in _STRENGTH:
        made.status[key] = max(made.status[key], counted, key=_STRENGTH.index)
    reason = (
        kind if kind in _REASONS else "bounce" if more.get("reason") == "Bounced Address" else ""
    )
    if reason:
        before = made.stopped.get(number, "")
        made.stopped[number] = max(before, reason, key=_REASONS.index)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def fill(database: Database, home: Home, made: Corpus) -> None:
    """Leads and accepted mails for every send key."""
    key = home.secret("suppression.key")
    hashes = [address_hash(address(number), key) for number in range(len(made.keys))]
    campaign, variant = make_campaign(database, channel="sendgrid", at=SENT)
    with database.write() as session:
        lead = {
            "first_name": "", "last_name": "", "company": "", "phone": "", "language": "ro",
            "country": "RO", "city": "", "timezone": "", "external_id": "", "attributes": {},
            "created_at": SENT, "updated_at": SENT,
        }  # fmt: skip
        add_rows(
            session,
            Lead,
            ["id", "email", "address_hash", *lead],
            (
                (number + 1, address(number), digest, *lead.values())
                for number, digest in enumerate(hashes)
            ),
        )
        message = {
            "campaign_id": campaign, "variant_id": variant, "step": 1, "occurrence": "",
            "wave": 1, "channel": "sendgrid", "state": "accepted", "reason": "", "attempts": 1,
            "owner": "", "epoch": 1, "provider_id": "", "status": "", "handover_at": SENT,
            "accepted_at": SENT, "planned_at": SENT,
        }  # fmt: skip
        add_rows(
            session,
            Message,
            ["lead_id", "send_key", "address_hash", *message],
            (
                (number + 1, made.keys[number], digest, *message.values())
                for number, digest in enumerate(hashes)
            ),
        )


def compare(database: Database, made: Corpus) -> dict[str, Any]:
    """How the database differs from what has to be there. `lost` and `wrong` have to be 0."""
    path = database.url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        stored = dict(connection.execute("SELECT event_id, kind FROM event"))
        copies = connection.execute("SELECT count(*) FROM event").fetchone()[0]
        status = dict(connection.execute("SELECT send_key, status FROM message"))
        people = connection.execute("SELECT lead_id, address_hash FROM message")
        numbers = {digest: lead - 1 for lead, digest in people}
        stops = connection.execute("SELECT address_hash, reason FROM suppression")
        stopped = {numbers.get(digest, digest): reason for digest, reason in stops}
        whole = connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    wrong = Counter(
        kinds=sum(stored.get(event_id, kind) != kind for event_id, kind in made.kinds.items()),
        foreign=len(stored.keys() - made.kinds.keys()),
        twice=copies - len(stored),
        status=sum(status.get(key) != kind for key, kind in made.status.items()),
        stopped=sum(
            stopped.get(number) != made.stopped.get(number)
            for number in stopped.keys() | made.stopped.keys()
        ),
        broken_database=int(not whole),
    )
    return {
        "stored": len(stored),
        "lost": len(made.kinds.keys() - stored.keys()),
        "wrong": sum(wrong.values()),
        "wrong_by": {name: number for name, number in wrong.items() if number},
    }
