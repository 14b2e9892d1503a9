"""What follows a CRM's news: a segment at once, and one mail, once, in an approved campaign that a rule names."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from pigeonry.config import Home, load_home
from pigeonry.service import campaigns
from pigeonry.service.crm import drain_crm, source_name
from pigeonry.service.crm_follow import follow_crm
from pigeonry.service.joining import Joined, join_campaign
from pigeonry.service.leads import import_leads, parse_claim
from pigeonry.service.sending import send_campaign
from pigeonry.store import leads, raw_events
from pigeonry.store.models import Message
from pigeonry.store.session import Database
from tests import crm_bodies as bodies
from tests.crm_bodies import AT

BRIEF = Path(__file__).resolve().parents[2] / "examples" / "briefs" / "course-provider.toml"
NOW = AT + timedelta(hours=2)
SETTINGS = """
[embedding]
backend = "hashing"
[llm]
local = false
[crm.shop]
kind = "generic"
[crm.shop.fields]
"lead.job" = "attribute"
[[crm.shop.rules]]
campaign = "NAME"
"""


@pytest.fixture
def crm_home(home: Home) -> Home:
    name = campaigns_name()
    (home.path / "pigeonry.toml").write_text(SETTINGS.replace("NAME", name), encoding="utf-8")
    return load_home(home.path, env={})


def campaigns_name() -> str:
    from generation.brief import parse_brief

    return parse_brief(BRIEF.read_text(), where="brief").name


def tell(db: Database, home: Home, *contacts: dict[str, object]) -> None:
    with db.write() as session:
        body = bodies.body(list(contacts))
        raw_events.add(session, source=source_name("shop"), body=body, headers={}, at=NOW)
    drain_crm(db, home, now=NOW)


def messages_of(db: Database, email: str) -> int:
    with db.read() as session:
        lead = leads.by_email(session, email)
        assert lead is not None
        query = select(func.count()).select_from(Message).where(Message.lead_id == lead.id)
        return session.scalar(query) or 0


def test_a_lead_of_a_crm_gets_its_segment_and_one_approved_mail_once(
    crm_home: Home, database: Database, tmp_path: Path
) -> None:
    agreed = {"consent": {"basis": "express", "source": "the shop"}}
    early = bodies.generic("early", email="early@exemplu.ro", job="profesor", **agreed)
    tell(database, crm_home, early)
    report = follow_crm(database, crm_home, now=NOW)
    assert report.joined == {Joined.NO_CAMPAIGN: 1}
    assert report.placed == 0  # nothing was fitted yet

    path = tmp_path / "leads.csv"
    rows = [f"p{n}@example.com,Ana,{('designer', 'profesor')[n % 2]},RO" for n in range(40)]
    path.write_text("Email,Prenume,job,Țara\n" + "\n".join(rows) + "\n", encoding="utf-8")
    import_leads(
        database, crm_home, path, mapping={}, consent=parse_claim("express:test"),
        dry_run=False, now=NOW,
    )  # fmt: skip
    number = campaigns.create_campaign(
        database, crm_home, BRIEF.read_text(), where="brief", occurrence="", now=NOW
    )
    done = campaigns.run_campaign(
        database, crm_home, number, clock=lambda: NOW, approve_as="me", send=True
    )
    assert done.state == "done"

    crowd = [
        bodies.generic(f"c{n}", email=f"c{n}@exemplu.ro", job="profesor", **agreed)
        for n in range(12)
    ]
    silent = bodies.generic("silent", email="silent@exemplu.ro", job="profesor")
    tell(database, crm_home, *crowd, silent)
    report = follow_crm(database, crm_home, now=NOW)

    assert (report.leads, report.placed) == (13, 13)
    assert report.joined[Joined.NOT_MAILABLE] == 1
    planned = report.joined[Joined.PLANNED]
    assert planned > 0
    assert planned + report.joined[Joined.HELD_OUT] == 12
    assert report.to_send == [number]
    with database.read() as session:
        neighbour = leads.by_email(session, "p1@example.com")
        lead = leads.by_email(session, "c1@exemplu.ro")
        assert lead is not None
        assert neighbour is not None
        assert lead.segment_id == neighbour.segment_id is not None

    sent = send_campaign(database, crm_home, number, now=lambda: NOW, patience=0)
    assert sent.handed_over == planned
    tell(database, crm_home, bodies.generic("c1", 30, job="designer"))
    again = follow_crm(database, crm_home, now=NOW)
    assert again.joined == {Joined.ALREADY: 1}
    assert again.to_send == []
    assert messages_of(database, "silent@exemplu.ro") == 0
    assert sum(messages_of(database, f"c{n}@exemplu.ro") for n in range(12)) == planned
    assert follow_crm(database, crm_home, now=NOW).leads == 0

    campaigns_before = join_campaign(database, crm_home, "no such", 1, now=NOW)
    assert campaigns_before.outcome is Joined.NO_CAMPAIGN
