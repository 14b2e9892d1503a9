"""One person: shown, exported in full, erased with nothing left but a keyed hash."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from pigeonry.config import Home
from pigeonry.domain import SuppressionReason
from pigeonry.errors import BadInput, NotFound
from pigeonry.service.leads import import_leads, parse_claim
from pigeonry.service.people import erase_person, export_person, show_person
from pigeonry.store import leads
from pigeonry.store.models import (
    Assignment,
    BriefVersion,
    Campaign,
    Consent,
    Event,
    Lead,
    LeadVector,
    Message,
    MessageAttempt,
    PromptVersion,
    RawEvent,
    Segment,
    Variant,
)
from pigeonry.store.session import Database

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
TEXT = "email,first name,note\nana@example.com,Ana,x\nion@example.com,Ion,y\nana@,Ana,ana@example.com\n"


def bring(db: Database, home: Home) -> None:
    path = home.path / "leads.csv"
    path.write_text(TEXT, encoding="utf-8")
    import_leads(
        db, home, path, mapping={}, consent=parse_claim("express:form"), dry_run=False, now=NOW
    )


def mailed(db: Database, home: Home) -> None:
    """A sent message with an event for each of the two leads, who share a vector."""
    with db.write() as session:
        session.add(LeadVector(content_hash="c" * 64, embedder="e", vector=b"\0" * 8))
        session.add(LeadVector(content_hash="d" * 64, embedder="e", vector=b"\0" * 8))
        session.add(BriefVersion(id=1, content_hash="b" * 64, name="b", source="", created_at=NOW))
        session.add(PromptVersion(version="p" * 16, name="p", source="", created_at=NOW))
        session.add(
            Segment(
                id=1, name="s", description="", terms=[], size=2, embedder="e", model_version="1",
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
                subject="Salut", preheader="", hook="", body=[], cta="", cost_micros=0, currency="EUR",
                created_at=NOW,
            )
        )  # fmt: skip
        raw = RawEvent(
            source="sendgrid", body=b'[{"email":"ANA@example.com"},{"email":"ion@example.com"}]',
            body_hash="r" * 64, headers={}, received_at=NOW, error="",
        )  # fmt: skip
        session.add(raw)
        session.flush()
        for lead in leads.iterate(session):
            row = session.get(Lead, lead.id)
            assert row is not None
            row.content_hash = "c" * 64 if lead.first_name == "Ana" else "d" * 64
            message = Message(
                campaign_id=1, lead_id=lead.id, variant_id=1, step=1, occurrence="", wave=1,
                send_key=f"{lead.id:032x}", address_hash=row.address_hash, channel="file",
                state="accepted", reason="", attempts=1, owner="", epoch=1, provider_id="", status="",
                planned_at=NOW,
            )  # fmt: skip
            session.add(message)
            session.flush()
            session.add(
                MessageAttempt(
                    message_id=message.id, owner="", outcome="accepted", reason="", provider_id="",
                    started_at=NOW,
                )
            )  # fmt: skip
            session.add(
                Assignment(
                    campaign_id=1, lead_id=lead.id, segment_id=1, arm="A", propensity=0.5, wave=1, seed=1,
                    at=NOW,
                )
            )  # fmt: skip
            session.add(
                Event(
                    source="sendgrid", event_id=f"e{lead.id}", raw_event_id=raw.id,
                    message_id=message.id, kind="open", at=NOW, url="", user_agent="", ip="10.0.0.1",
                    reason="", human=1.0,
                )
            )  # fmt: skip
            home.outbox.mkdir(exist_ok=True)
            (home.outbox / f"{message.send_key}.eml").write_text(f"To: {lead.email}")


def test_a_lead_is_shown_with_what_decides_about_mail(database: Database, home: Home) -> None:
    bring(database, home)
    person = show_person(database, home, " ANA@example.com ", now=NOW)
    assert person.mailable
    assert person.lead.first_name == "Ana"
    with pytest.raises(NotFound):
        show_person(database, home, "nobody@example.com", now=NOW)
    with pytest.raises(BadInput):
        show_person(database, home, "nobody", now=NOW)


def test_an_export_holds_all_that_is_stored_about_the_person_and_nothing_of_others(
    database: Database, home: Home
) -> None:
    bring(database, home)
    mailed(database, home)
    found = export_person(database, home, "ana@example.com")
    assert found["lead"]["first_name"] == "Ana"
    assert found["consent"][0]["source"] == "form"
    assert found["message"][0]["subject"] == "Salut"
    assert found["event"][0]["ip"] == "10.0.0.1"
    assert found["raw_event"][0]["about"] == [{"email": "ANA@example.com"}]
    assert len(found["message_attempt"]) == len(found["assignment"]) == 1
    assert "ion@" not in str(found)


def test_an_erased_person_is_gone_everywhere_but_the_keyed_hash(
    any_database: Database, home: Home
) -> None:
    bring(any_database, home)
    mailed(any_database, home)
    report = erase_person(any_database, home, "Ana@example.com", now=NOW)
    assert report.found
    assert report.rows == {
        "lead": 1, "consent": 1, "assignment": 1, "message": 1, "message_attempt": 1, "event": 1,
        "lead_vector": 1,
    }  # fmt: skip
    assert report.struck == {"raw_event": 1}
    assert report.files == 2
    assert report.left == ("leads.csv",)
    with any_database.read() as session:
        assert leads.by_email(session, "ana@example.com") is None
        for table in (Consent, Assignment, Message, MessageAttempt, Event, LeadVector):
            assert session.query(table).count() == 1, table
        body = session.query(RawEvent).one().body
    assert b"ana@example.com" not in body.lower()
    assert b"ion@example.com" in body
    left = [path for path in Path(home.path).rglob("*") if path.is_file() and path.suffix != ".csv"]
    assert not [path for path in left if b"ana@example.com" in path.read_bytes()]
    errors = next(home.reports.glob("*-errors.csv")).read_text(encoding="utf-8")
    assert "ana@example.com" not in errors

    stored = export_person(any_database, home, "ana@example.com")
    assert stored["lead"] is None
    assert stored["suppression"]["reason"] == SuppressionReason.ERASURE.value
    assert "ana" not in str(stored["suppression"])
    again = erase_person(any_database, home, "ana@example.com", now=NOW)
    assert not again.found
