"""After an erasure nothing of the person is left in any table or file, but a keyed hash."""

from __future__ import annotations

import csv
import json
import quopri
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from pigeonry.config import Home
from pigeonry.domain import PlannedMessage, SuppressionReason
from pigeonry.prove.canaries import CANARIES, EMAIL, LINKED, linked, spellings
from pigeonry.service import erasure_journal
from pigeonry.service.leads import import_leads, parse_claim
from pigeonry.service.people import erase_person, export_person, replay_erasures
from pigeonry.service.sending import send_campaign
from pigeonry.store import consents, leads
from pigeonry.store.base import Base
from pigeonry.store.models import (
    Assignment,
    CheckResult,
    CompletionCache,
    CrmContact,
    CrmRefusal,
    DeclinedTopic,
    Event,
    ImportChange,
    ImportRun,
    Job,
    Lead,
    LeadVector,
    LlmCall,
    Message,
    Preference,
    RawEvent,
    SegmentMember,
    Suppression,
)
from pigeonry.store.people import PLACES
from pigeonry.store.session import Database
from tests.delivery.world import World

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
OTHERS = ("ion@exemplu.ro", "maria@exemplu.ro")


@dataclass(frozen=True)
class Seeded:
    home: Home
    db: Database
    list_file: Path
    lead_id: int


@pytest.fixture
def seeded(any_database: Database, home: Home, tmp_path: Path) -> Seeded:
    """A campaign was sent to three people, events came back, and one of them stands everywhere."""
    db = any_database
    path = tmp_path / "list.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(CANARIES)
        writer.writerow(CANARIES.values())
        for email in OTHERS:
            writer.writerow([email, "Ion", "Pop", "", "", "Brașov", "", *["comun"] * 43])
        writer.writerow(["ion@", "Ion", "", "", "", "", "", *[f"vezi {EMAIL}"] * 43])
    world = World(db, leads=0)
    import_leads(
        db, home, path, mapping={}, consent=parse_claim("express:form"), dry_run=False, now=NOW
    )
    with db.read() as session:
        everybody = leads.iterate(session)
        hashes = dict(session.execute(select(Lead.id, Lead.address_hash)).all())
    lead_id = next(lead.id for lead in everybody if lead.email == EMAIL)
    world.plan(
        [
            PlannedMessage(
                campaign_id=world.campaign_id, lead_id=lead.id, variant_id=world.variant_id, wave=1,
                address_hash=hashes[lead.id], channel="file",
            )
            for lead in everybody
        ]
    )  # fmt: skip
    sent = send_campaign(db, home, world.campaign_id, now=lambda: NOW)
    assert sent.sent == 3
    _fill_tables(db, world, lead_id, hashes[lead_id])
    _fill_files(home)
    return Seeded(home, db, path, lead_id)


def _fill_tables(db: Database, world: World, lead_id: int, digest: str) -> None:
    said = " / ".join(CANARIES.values())
    with db.write() as session:
        message = session.scalars(select(Message).where(Message.lead_id == lead_id)).one()
        message.provider_id = "canar-provider"
        lead = session.get_one(Lead, lead_id)
        lead.content_hash = "c" * 64
        known = {"source": "sf", "external_hash": "e" * 64, "external_id": CANARIES["external id"]}
        session.add(
            CrmContact(
                **known, lead_id=lead_id, stamps={"city": [1, "d" * 12]}, deleted=0, restored=0,
                merged_into="", updated_at=NOW,
            )
        )  # fmt: skip
        session.add(CrmRefusal(**known, lead_id=lead_id, kind="stale", detail=said, at=NOW))
        segment = session.scalars(select(SegmentMember.segment_id)).first() or 1
        batch = [
            {"email": EMAIL.upper(), "event": "open", "send_key": message.send_key},
            {"email": OTHERS[0], "event": "open", "useragent": "Firefox"},
        ]
        mail = f"From: {EMAIL}\r\n\r\n".encode() + quopri.encodestring(said.encode())
        bodies = {
            "matched": ("sendgrid", json.dumps(batch).encode(), NOW),
            "again": ("sendgrid", json.dumps([*batch, {"n": 2}]).encode(), NOW),
            "undrained": ("sendgrid", json.dumps([*batch, {"n": 3}]).encode(), None),
            "reply": ("inbound", mail, NOW),
            "own": ("own", f'{{"send_key":"{message.send_key}"}}\n{{"n":1}}\n'.encode(), NOW),
            "table": ("conversions", f"email,value\n{EMAIL},1\n{OTHERS[1]},2\n".encode(), NOW),
            "soap": ("crm:sf", f"<x><Notification>{EMAIL}</Notification></x>".encode(), None),
        }
        ids = {}
        for number, (name, (source, body, drained)) in enumerate(bodies.items()):
            row = RawEvent(
                source=source, body=body, body_hash=f"{number:064x}", headers={"from": EMAIL},
                received_at=NOW, drained_at=drained, error=f"element 0: {EMAIL}",
            )  # fmt: skip
            session.add(row)
            session.flush()
            ids[name] = row.id
        common = {
            "kind": "open",
            "at": NOW,
            "human": 1.0,
            "url": said,
            "user_agent": said,
            "ip": "canar-ip",
        }
        session.add(
            Event(
                source="s",
                event_id="1",
                message_id=message.id,
                raw_event_id=ids["matched"],
                reason=said,
                **common,
            )
        )
        session.add(
            Event(
                source="s",
                event_id="2",
                address_hash=digest,
                raw_event_id=ids["reply"],
                reason=said,
                **common,
            )
        )
        session.add(LeadVector(content_hash="c" * 64, embedder="e", vector=b"\x00\x00\x80?" * 2))
        session.add(
            SegmentMember(
                lead_id=lead_id, segment_id=segment, model_version="1", similarity=1.0, at=NOW
            )
        )
        session.add(
            Assignment(
                campaign_id=world.campaign_id,
                lead_id=lead_id,
                segment_id=segment,
                arm="A",
                propensity=0.5,
                wave=1,
                seed=1,
                at=NOW,
            )
        )
        session.add(Preference(lead_id=lead_id, weekly_cap=1, updated_at=NOW))
        session.add(DeclinedTopic(lead_id=lead_id, topic=said[:60]))
        session.add(
            Job(
                kind="opt-in-mail", state="sent", result={"reason": said}, created_at=NOW,
                payload={"lead_id": lead_id, "send_key": "f" * 32, "language": "ro", "text_version": "",
                         "source": "x", "network": ""},
            )
        )  # fmt: skip
        session.add(
            Job(kind="export", state="done", payload={"who": EMAIL}, result={}, created_at=NOW)
        )
        session.add(
            LlmCall(
                campaign_id=world.campaign_id, language="ro", tier="t", model="m", prompt="p", task="subject",
                outcome="accepted", cache="miss", tokens_in=1, tokens_out=1, cost_micros=0, currency="EUR",
                seconds=0.1, reason=said, proposal=f"Salut, {said}!", at=NOW,
            )
        )  # fmt: skip
        session.add(
            CompletionCache(
                key="k" * 64, model="m", response={"text": said}, tokens_in=1, tokens_out=1, cost_micros=0,
                hits=0, owner="", created_at=NOW,
            )
        )  # fmt: skip
        session.add(
            CheckResult(
                variant_id=world.variant_id, check="x", field="y", passed=False, detail=said
            )
        )
        run_id = session.scalars(select(ImportRun.id)).first()
        session.add(
            ImportChange(import_run_id=run_id, lead_id=lead_id, changes={"city": ["", said]})
        )
        session.add(
            ImportRun(
                file_name=f"{EMAIL}.csv",
                file_hash="h" * 64,
                state="done",
                counts={},
                started_at=NOW,
            )
        )
    with db.write() as session:
        consents.record(session, lead_id, state=consents.ConsentState.GRANTED, basis=None, source=said[:100], proof=said, at=NOW)  # fmt: skip


def _fill_files(home: Home) -> None:
    said = " / ".join(CANARIES.values())
    (home.reports / "campaign-1.html").write_text(f"<p>Ex.: {said}</p>", encoding="utf-8")
    (home.reports / "clean.html").write_text("<p>Ion</p>", encoding="utf-8")
    folder = home.path / "prefect"
    folder.mkdir()
    with sqlite3.connect(folder / "prefect.db") as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE flow_run (id TEXT, name TEXT, parameters TEXT)")
        connection.execute("CREATE TABLE log (id TEXT, name TEXT, message TEXT)")
        connection.execute(
            "INSERT INTO flow_run VALUES ('1', 'busy-owl', ?)",
            (json.dumps({"path": said, "n": 1}),),
        )
        connection.execute("INSERT INTO log VALUES ('1', 'flow', ?)", (f"importing {said}",))
        connection.execute("INSERT INTO log VALUES ('2', 'flow', ?)", (said * 50,))
        connection.execute("DELETE FROM log WHERE id = '2'")
    connection.close()
    (folder / "worker.log").write_text(f"1 {EMAIL}\n2 fine\n", encoding="utf-8")


def hits(home: Home) -> list[str]:
    found = []
    for path in sorted(home.path.rglob("*")):
        if path.is_file():
            data = path.read_bytes().lower()
            found += [f"{path.name}: {text!r}" for text in spellings() if text in data]
    return found


def everything(db: Database) -> str:
    with db.read() as session:
        rows = [
            str(tuple(row))
            for table in Base.metadata.sorted_tables
            for row in session.execute(select(table))
        ]
    return "\n".join(rows).lower()


def test_of_fifty_values_in_every_place_none_is_found_again(seeded: Seeded) -> None:
    assert len(CANARIES) == 50
    assert len(hits(seeded.home)) > 50
    report = erase_person(seeded.db, seeded.home, EMAIL.upper(), now=NOW)

    assert report.notes == ()
    assert hits(seeded.home) == []
    text = everything(seeded.db)
    assert [value for value in spellings() if value.decode() in text] == []
    assert report.rows["event"] == 2
    assert report.struck["raw_event"] == 7
    assert "reports/campaign-1.html" in report.deleted
    assert set(report.changed) == {"prefect/worker.log", "reports/import-1-errors.csv"}
    assert report.prefect == 2


def test_journals_of_hand_overs_stay_as_they_are(seeded: Seeded) -> None:
    """A sender may be writing them, and a lost line would make its mail leave again. They name nobody."""
    before = {path: path.read_bytes() for path in seeded.home.path.glob("handovers/*")}
    erase_person(seeded.db, seeded.home, EMAIL, now=NOW)
    after = {path: path.read_bytes() for path in seeded.home.path.glob("handovers/*")}
    assert before
    assert after == before


def test_others_keep_everything(seeded: Seeded) -> None:
    erase_person(seeded.db, seeded.home, EMAIL, now=NOW)

    with seeded.db.read() as session:
        assert {lead.email for lead in leads.iterate(session)} == set(OTHERS)
        assert session.scalar(select(func.count()).select_from(Message)) == 2
        bodies = [row.body for row in session.scalars(select(RawEvent).order_by(RawEvent.id))]
    assert [OTHERS[0].encode() in body for body in bodies] == [
        True,
        True,
        True,
        False,
        False,
        False,
        False,
    ]
    assert bodies[3] == b""
    assert bodies[4] == b'{"n":1}\n'
    assert bodies[5] == f"email,value\n{OTHERS[1]},2\n".encode()
    assert bodies[6] == b"<x></x>"
    assert len(list(seeded.home.outbox.rglob("*.eml"))) == 2
    assert (seeded.home.reports / "clean.html").exists()
    with sqlite3.connect(seeded.home.path / "prefect" / "prefect.db") as connection:
        name, parameters = connection.execute("SELECT name, parameters FROM flow_run").fetchone()
    assert (name, json.loads(parameters)["n"]) == ("busy-owl", 1)


def test_the_same_list_brings_nobody_back(seeded: Seeded) -> None:
    erase_person(seeded.db, seeded.home, EMAIL, now=NOW)
    report = import_leads(
        seeded.db, seeded.home, seeded.list_file, mapping={}, consent=parse_claim("express:form"),
        dry_run=False, now=NOW + timedelta(days=1),
    )  # fmt: skip
    assert (report.created, report.rejected) == (0, 2)
    assert hits(seeded.home) == []  # nor in the list of what was wrong with other rows
    with seeded.db.read() as session:
        assert leads.by_email(session, EMAIL) is None
        assert [row.reason for row in session.scalars(select(Suppression))] == ["erasure"]


def test_a_new_lead_never_gets_the_number_of_an_erased_one(seeded: Seeded) -> None:
    with seeded.db.read() as session:
        last = leads.iterate(session)[-1]
    erase_person(seeded.db, seeded.home, last.email, now=NOW)
    with seeded.db.write() as session:
        fields = leads.LeadFields(
            "nou@exemplu.ro", "n" * 64, "", "", "", "", "", "", "", "", "", {}
        )
        assert leads.add(session, [fields], NOW)[0] > last.id


def test_every_table_that_can_hold_a_person_is_exported_and_erased(seeded: Seeded) -> None:
    tables = Base.metadata.tables
    assert set(PLACES) == set(tables), "say in store.people.PLACES what of a person stands there"
    assert {name for name in linked() if not PLACES[name]} == set()
    with seeded.db.write() as session:
        digest = session.get_one(Lead, seeded.lead_id).address_hash
        message_ids = list(
            session.scalars(select(Message.id).where(Message.lead_id == seeded.lead_id))
        )
        consents.suppress(session, digest, reason=SuppressionReason.BOUNCE, source="x", at=NOW)

    exported = export_person(seeded.db, seeded.home, EMAIL)
    assert linked() <= {name for name, rows in exported.items() if rows}
    assert len(exported["event"]) == 2
    assert exported["lead_vector"][0]["vector"] == [1.0, 1.0]
    for other in OTHERS:
        assert other not in json.dumps(exported)

    erase_person(seeded.db, seeded.home, EMAIL, now=NOW)
    theirs = {"lead_id": [seeded.lead_id], "message_id": message_ids, "address_hash": [digest]}
    with seeded.db.read() as session:
        for name in linked() - {"suppression"}:
            for column in LINKED & set(tables[name].columns.keys()):
                query = select(func.count()).select_from(tables[name])
                query = query.where(tables[name].columns[column].in_(theirs[column]))
                assert session.scalar(query) == 0, (name, column)


def test_a_backup_that_is_put_back_is_erased_again(seeded: Seeded) -> None:
    with seeded.db.read() as session:
        before = session.get_one(Lead, seeded.lead_id)
        row = {column.key: getattr(before, column.key) for column in Lead.__table__.columns}
    erase_person(seeded.db, seeded.home, EMAIL, now=NOW)
    with seeded.db.write() as session:  # as the backup had it: the lead, and no suppression
        session.execute(insert(Lead).values(**{**row, "content_hash": None}))
        session.query(Suppression).delete()

    assert replay_erasures(seeded.db, seeded.home, now=NOW + timedelta(days=1)) == 1

    assert hits(seeded.home) == []
    with seeded.db.read() as session:
        assert leads.by_email(session, EMAIL) is None
        assert consents.with_reason(session, SuppressionReason.ERASURE) == erasure_journal.noted(
            seeded.home
        )
    assert replay_erasures(seeded.db, seeded.home, now=NOW + timedelta(days=2)) == 0


def test_the_journal_names_nobody_and_passes_over_a_line_that_was_cut(home: Home) -> None:
    erasure_journal.note(home, "a" * 64, now=NOW)
    with (home.path / erasure_journal.FILE).open("a") as file:
        file.write("2026-11-24T10:00:00+00:00 " + "b" * 30)
    assert erasure_journal.noted(home) == {"a" * 64}
