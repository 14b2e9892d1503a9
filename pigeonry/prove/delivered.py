"""A home that waits for those deliveries, and how it differs afterwards from what has to be there.

Looks at the database past all of our own code: by plain SQL over the drivers.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from pigeonry.config import Home
from pigeonry.domain.address import address_hash
from pigeonry.prove.deliveries import SENT, Corpus, address
from pigeonry.prove.world import make_campaign
from pigeonry.store.bulk import add_rows
from pigeonry.store.models import Lead, Message
from pigeonry.store.session import Database

Ask = Callable[[str], list[tuple[Any, ...]]]


@contextmanager
def asking(url: str) -> Iterator[Ask]:
    """Plain SQL on the database at that URL; each question sees the newest state."""
    if url.startswith("sqlite:///"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            yield lambda query: file.execute(query).fetchall()
        return
    import psycopg

    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as server:
        yield lambda query: server.execute(query.encode()).fetchall()


def whole(ask: Ask, url: str) -> bool:
    """Whether SQLite says that the file is whole. Postgres has no such question."""
    return not url.startswith("sqlite") or ask("PRAGMA integrity_check") == [("ok",)]


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
    with asking(database.url) as ask:
        stored = dict(ask("SELECT event_id, kind FROM event"))
        [(copies,)] = ask("SELECT count(*) FROM event")
        status = dict(ask("SELECT send_key, status FROM message"))
        numbers = {
            digest: lead - 1 for lead, digest in ask("SELECT lead_id, address_hash FROM message")
        }
        stopped = {
            numbers.get(digest, digest): reason
            for digest, reason in ask("SELECT address_hash, reason FROM suppression")
        }
        broken = not whole(ask, database.url)
    wrong = Counter(
        kinds=sum(stored.get(event_id, kind) != kind for event_id, kind in made.kinds.items()),
        foreign=len(stored.keys() - made.kinds.keys()),
        twice=copies - len(stored),
        status=sum(status.get(key) != kind for key, kind in made.status.items()),
        stopped=sum(
            stopped.get(number) != made.stopped.get(number)
            for number in stopped.keys() | made.stopped.keys()
        ),
        broken_database=int(broken),
    )
    return {
        "stored": len(stored),
        "lost": len(made.kinds.keys() - stored.keys()),
        "wrong": sum(wrong.values()),
        "wrong_by": {name: number for name, number in wrong.items() if number},
    }
