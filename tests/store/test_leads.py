"""Leads in the database: read back as stored, paged by id, mailable only with consent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pigeonry.domain import ConsentBasis, ConsentState, Language, SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.errors import NotFound
from pigeonry.store import consents, leads, migrate
from pigeonry.store.session import Database, Session

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
KEY = b"k" * 32


def add(session: Session, *names: str, country: str = "RO") -> list[int]:
    leads.lock_for_merge(session)
    rows = [
        leads.LeadFields(
            email=f"{name}@example.com",
            address_hash=address_hash(f"{name}@example.com", KEY),
            first_name=name.title(),
            last_name="",
            company="",
            phone="+40 722 000 000",
            language="ro",
            country=country,
            city="Iași",
            timezone="Europe/Bucharest",
            external_id="",
            attributes={"job": 'grădinar "șef"\n\t\\x'},
        )
        for name in names
    ]
    return leads.add(session, rows, NOW)


def grant(session: Session, lead_id: int, state: ConsentState, at: datetime = NOW) -> None:
    consents.record(
        session,
        lead_id,
        state=state,
        basis=ConsentBasis.EXPRESS,
        source="form",
        proof="",
        at=at,
    )


def test_models_and_migrations_agree(any_database: Database) -> None:
    migrate.check(any_database)


def test_a_lead_is_read_back_as_it_was_stored(any_database: Database) -> None:
    with any_database.write() as session:
        ids = add(session, "ana", "ion")
        more = add(session, "eva")
    with any_database.read() as session:
        lead = leads.get(session, ids[1])
        assert lead.email == "ion@example.com"
        assert lead.attributes == {"job": 'grădinar "șef"\n\t\\x'}
        assert lead.language is Language.RO
        assert lead.created_at == NOW
        assert leads.by_email(session, "eva@example.com") == leads.get(session, more[0])
        assert leads.by_email(session, "nobody@example.com") is None
        assert leads.count(session) == 3
        with pytest.raises(NotFound):
            leads.get(session, 10_000)


def test_pages_by_id_meet_every_lead_once(any_database: Database) -> None:
    with any_database.write() as session:
        ids = add(session, *(f"p{number}" for number in range(25)))
    seen: list[int] = []
    with any_database.read() as session:
        while page := leads.iterate(session, after_id=seen[-1] if seen else 0, limit=10):
            seen += [lead.id for lead in page]
        assert seen == ids
        assert [lead.id for lead in leads.by_ids(session, [ids[3], ids[1]])] == [ids[1], ids[3]]


def test_a_change_asks_for_a_new_profile(any_database: Database) -> None:
    with any_database.write() as session:
        (lead_id,) = add(session, "ana")
    with any_database.write() as session:
        _, fields = leads.by_emails(session, ["ana@example.com"])["ana@example.com"]
        leads.change(session, [(lead_id, fields._replace(city="Cluj"))], NOW + timedelta(hours=1))
    with any_database.read() as session:
        lead = leads.get(session, lead_id)
        assert lead.city == "Cluj"
        assert lead.updated_at == NOW + timedelta(hours=1)
        assert lead.created_at == NOW


def test_only_consented_and_not_suppressed_leads_are_mailable(any_database: Database) -> None:
    with any_database.write() as session:
        yes, never, withdrawn, again, hushed, same = add(
            session, "yes", "never", "withdrawn", "again", "hushed", "same"
        )
        (abroad,) = add(session, "abroad", country="DE")
        for lead_id in (yes, withdrawn, again, hushed, same, abroad):
            grant(session, lead_id, ConsentState.GRANTED)
        grant(session, withdrawn, ConsentState.WITHDRAWN, NOW + timedelta(days=1))
        grant(session, again, ConsentState.WITHDRAWN, NOW + timedelta(days=1))
        grant(session, again, ConsentState.GRANTED, NOW + timedelta(days=2))
        grant(session, same, ConsentState.WITHDRAWN)
        consents.suppress(
            session,
            address_hash("hushed@example.com", KEY),
            reason=SuppressionReason.BOUNCE,
            source="test",
            at=NOW,
        )
    with any_database.read() as session:
        found = leads.mailable(session, key=KEY)
        assert [lead.id for lead in found] == [yes, again, abroad]
        assert leads.count_mailable(session, key=KEY) == 3
        assert [lead.id for lead in leads.mailable(session, key=KEY, countries=["RO"])] == [
            yes,
            again,
        ]
        assert [lead.id for lead in leads.mailable(session, after_id=yes, limit=1)] == [again]
        assert consents.consent_state(session, never) is None
        assert consents.consent_state(session, same) is ConsentState.WITHDRAWN
