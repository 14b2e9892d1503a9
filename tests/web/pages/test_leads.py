"""Leads in the browser: found, read in full, stopped, handed over, erased; hostile fields stay text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from pigeonry.config import Home
from pigeonry.domain import ConsentBasis, ConsentClaim
from pigeonry.domain.operator import Role
from pigeonry.service import lead_book
from pigeonry.service.leads import import_leads
from pigeonry.store.models import Assignment, Audit, Event, Lead, Message, Segment
from pigeonry.store.session import Database
from tests.delivery.world import World
from tests.web.console import NOW, Visitor, console, said

HOSTILE = "<script>alert('x')</script><img src=x onerror=alert(1)>"
FIELDS = (
    "email",
    "first name",
    "last name",
    "company",
    "phone",
    "city",
    "country",
    "external id",
    "job",
)


@pytest.fixture
def visitor(home: Home, database: Database) -> Iterator[Visitor]:
    with console(home, database) as found:
        yield found


def bring(db: Database, home: Home, rows: list[tuple[str, ...]], proof: str = "") -> None:
    path = home.path / "list.csv"
    quoted = [
        ",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in (FIELDS, *rows)
    ]
    path.write_text("\n".join(quoted) + "\n", encoding="utf-8")
    claim = ConsentClaim(ConsentBasis.EXPRESS, f"formular {HOSTILE}", proof)
    import_leads(db, home, path, mapping={}, consent=claim, dry_run=False, now=NOW, name=HOSTILE)


def mailed(db: Database, lead_id: int) -> None:
    """Campaign, lot, message and events of one lead, hostile wherever somebody else's words stand."""
    world = World(db, leads=0)
    with db.write() as session:
        segment = session.scalars(select(Segment)).one()
        segment.name = f"Segment {HOSTILE}"
        session.get_one(Lead, lead_id).segment_id = segment.id
        session.add(
            Assignment(
                campaign_id=world.campaign_id, lead_id=lead_id, segment_id=segment.id, arm="A",
                propensity=0.25, wave=1, seed=1, at=NOW,
            )
        )  # fmt: skip
        message = Message(
            campaign_id=world.campaign_id, lead_id=lead_id, variant_id=world.variant_id, step=1,
            occurrence="", wave=1, send_key="a" * 32, address_hash="", channel="file",
            state="accepted", reason=HOSTILE, attempts=1, owner="", epoch=1, provider_id="",
            status="click", planned_at=NOW, accepted_at=NOW,
        )  # fmt: skip
        session.add(message)
        session.flush()
        session.add(
            Event(
                source="own", event_id="1", message_id=message.id, kind="click", human=0.87,
                at=NOW + timedelta(hours=1), url=f"https://example.com/{HOSTILE}", user_agent="",
                ip="", reason=HOSTILE, why=HOSTILE,
            )
        )  # fmt: skip


def emails(page: Any) -> list[str]:
    return re.findall(r'href="/leads/\d+">([^<]+)</a>', page.text)


def test_a_lead_is_found_by_whatever_is_known_of_it(visitor: Visitor) -> None:
    assert "No leads yet" in said(visitor.get("/leads"))
    db, home = visitor.database, visitor.home
    rows = [
        (
            f"l{n:03}@example.com",
            "Ion",
            f"Pop{n}",
            "Ștefan SRL" if n == 7 else "",
            "",
            "Cluj",
            "",
            f"x-{n}",
            "",
        )
        for n in range(120)
    ]
    rows.append(
        (
            "ana.pop@exemplu.ro",
            "Ștefania",
            "Popescu",
            "",
            "0722 000 111",
            "Iași",
            "",
            "4711",
            "Țesătoare",
        )
    )
    bring(db, home, rows)
    first = visitor.get("/leads")
    assert len(emails(first)) == 50
    older = re.search(r'href="(/leads\?[^"]+)" rel="next"', first.text)
    assert older
    seen = emails(first) + emails(visitor.get(older[1]))
    assert len(set(seen)) == 100
    for text in (
        "ana.pop@",
        "ANA.POP@exemplu.ro",
        "ștefania popescu",
        "Popescu",
        "4711",
        "0722",
        "țesătoare",
    ):
        assert emails(visitor.get("/leads", params={"q": text})) == ["ana.pop@exemplu.ro"], text
    assert emails(visitor.get("/leads", params={"q": "ștefan srl"})) == ["l007@example.com"]
    for text in ("%", "_", "' OR 1=1 --", HOSTILE, "nimeni@"):
        page = visitor.get("/leads", params={"q": text})
        assert (emails(page), HOSTILE in page.text) == ([], False), text
    assert visitor.get("/leads/9999").status_code == 404


def test_one_leads_story_is_told_and_hostile_fields_are_text(visitor: Visitor) -> None:
    db, home = visitor.database, visitor.home
    bring(db, home, [("rea@example.com", *[f"{HOSTILE}{n}" for n in range(8)])], proof=HOSTILE)
    mailed(db, 1)
    for path in ("/leads", "/leads?q=rea", "/leads/1", "/leads/1?lang=ro", "/upload", "/imports/1"):
        text = visitor.get(path).text
        assert "<script>alert" not in text, path
        assert "onerror=alert(1)>" not in text, path
    page = visitor.get("/leads/1?lang=en")
    told = said(page)
    for words in (
        "may be mailed",
        "express consent",
        "drawn with probability 25.0%",
        "click",
        "87%",
        "created it",
    ):
        assert words in told, words
    assert page.text.count("&lt;script&gt;") > 10


def test_what_an_operator_does_takes_effect_and_is_noted_without_names(visitor: Visitor) -> None:
    db, home = visitor.database, visitor.home
    bring(db, home, [(f"{name}@example.com", name, *[""] * 7) for name in ("ana", "ion", "eva")])
    with db.read() as session:
        ids = {lead.first_name: lead.id for lead in session.scalars(select(Lead))}
    assert visitor.as_role(Role.VIEWER).post(f"/leads/{ids['ana']}/suppress").status_code == 403
    assert visitor.as_role(Role.EDITOR).post(f"/leads/{ids['ana']}/export").status_code == 403

    assert visitor.post(f"/leads/{ids['ana']}/suppress").status_code == 303
    assert "stopped by an operator" in said(visitor.get(f"/leads/{ids['ana']}"))
    assert visitor.post(f"/leads/{ids['ion']}/withdraw").status_code == 303
    assert not lead_book.story(db, ids["ion"]).mailable(visitor.moment[0])

    found = visitor.post(f"/leads/{ids['eva']}/export", {"as": "json"})
    assert found.json()["lead"]["first_name"] == "eva"
    readable = visitor.post(f"/leads/{ids['eva']}/export", {"as": "page"})
    assert readable.headers["content-disposition"].startswith("attachment")
    wrong = visitor.post(f"/leads/{ids['eva']}/erase", {"typed": "ana@example.com"})
    assert (wrong.status_code, "not the lead" in said(wrong)) == (400, True)
    done = visitor.post(f"/leads/{ids['eva']}/erase", {"typed": " EVA@example.com "})
    assert done.status_code == 303
    assert visitor.get(f"/leads/{ids['eva']}").status_code == 404
    with db.read() as session:
        rows = list(session.scalars(select(Audit).order_by(Audit.id)))
        noted = [row.action for row in rows if row.action.startswith("lead.")]
        assert noted == [
            "lead.suppressed", "lead.withdrawn", "lead.exported", "lead.exported", "lead.erased",
        ]  # fmt: skip
        assert not any("example.com" in f"{row.subject}{row.detail}" for row in rows)
