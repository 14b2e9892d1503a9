"""News of CRMs on real databases: what becomes of leads, in whatever order and however often it comes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from pigeonry.config import Home, Settings
from pigeonry.domain import ConsentState, Lead, SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.service.crm import CrmReport, drain_crm, source_name, token_name
from pigeonry.store import consents, crm, leads, raw_events
from pigeonry.store.models import CrmContact, CrmSeen, RawEvent
from pigeonry.store.session import Database
from tests import crm_bodies as bodies
from tests.crm_bodies import AT
from tests.fakes.hubspot import TOKEN, Portal, portal

NOW = AT + timedelta(hours=2)
EXPRESS = {"basis": "express", "source": "the form"}


@dataclass
class Desk:
    home: Home
    db: Database
    now: list[Any] = field(default_factory=lambda: [NOW])

    def tell(self, source: str, body: bytes | Mapping[str, Any] | list[Any]) -> CrmReport:
        """Store a body as a door does, and drain."""
        data = body if isinstance(body, bytes) else bodies.body(body)
        with self.db.write() as session:
            raw_events.add(
                session, source=source_name(source), body=data, headers={}, at=self.now[0]
            )
        return drain_crm(self.db, self.home, now=self.now[0])

    def lead(self, email: str) -> Lead | None:
        with self.db.read() as session:
            return leads.by_email(session, email)

    def consent(self, email: str) -> ConsentState | None:
        found = self.lead(email)
        assert found is not None
        with self.db.read() as session:
            return consents.consent_state(session, found.id)

    def stop(self, email: str) -> None:
        """As an unsubscribe does it."""
        found = self.lead(email)
        assert found is not None
        digest = address_hash(email, self.home.secret("suppression.key"))
        with self.db.write() as session:
            reason = SuppressionReason.UNSUBSCRIBE
            consents.suppress(session, digest, reason=reason, source="link", at=self.now[0])
            consents.withdraw(session, found.id, source="link", proof="", at=self.now[0])

    def refused(self) -> list[str]:
        with self.db.read() as session:
            return [one.kind for one in crm.refusals(session)][::-1]


@pytest.fixture(scope="module")
def hub() -> Iterator[Portal]:
    with portal() as found:
        yield found


@pytest.fixture
def desk(home: Home, database: Database, hub: Portal) -> Desk:
    return _desk(home, database, hub)


@pytest.fixture
def any_desk(home: Home, any_database: Database, hub: Portal) -> Desk:
    return _desk(home, any_database, hub)


def _desk(home: Home, database: Database, hub: Portal) -> Desk:
    hub.contacts.clear()
    hub.asked.clear()
    settings = Settings.model_validate(
        {
            "crm": {
                "shop": {"kind": "generic"},
                "sf": {"kind": "salesforce"},
                "pipe": {"kind": "pipedrive", "on_delete": "keep"},
                "hub": {"kind": "hubspot", "api_url": hub.url, "timeout_seconds": 2},
            }
        }
    )
    found = Home(home.path, settings)
    found.secret("suppression.key")
    (home.path / "secrets" / token_name("hub")).write_text(TOKEN)
    return Desk(found, database)


def test_a_contact_becomes_a_lead_and_follows_the_crm(any_desk: Desk) -> None:
    desk = any_desk
    report = desk.tell(
        "shop",
        bodies.generic(
            "c1", email="Ana@Exemplu.ro", first_name="Ana", city="Iași", consent=EXPRESS
        ),
    )
    assert report.counts()["created"] == 1
    found = desk.lead("ana@exemplu.ro")
    assert found is not None
    assert (found.first_name, found.city) == ("Ana", "Iași")
    assert desk.consent("ana@exemplu.ro") is ConsentState.GRANTED

    report = desk.tell("shop", bodies.generic("c1", 5, city="Cluj"))
    assert report.counts()["updated"] == 1
    found = desk.lead("ana@exemplu.ro")
    assert found is not None
    assert (found.first_name, found.city) == ("Ana", "Cluj")

    report = desk.tell("shop", bodies.generic("c1", 6, "unsubscribe"))
    assert report.applied == 1
    digest = address_hash("ana@exemplu.ro", desk.home.secret("suppression.key"))
    with desk.db.read() as session:
        assert consents.reasons(session, [digest])[digest] is SuppressionReason.DO_NOT_MAIL


def test_what_is_older_changes_nothing_and_what_comes_again_counts_once(any_desk: Desk) -> None:
    desk = any_desk
    newer = bodies.generic("c1", 10, email="ana@exemplu.ro", city="Cluj")
    older = bodies.generic("c1", 5, email="ana@exemplu.ro", city="Iași", company="Firma SRL")
    desk.tell("shop", newer)
    report = desk.tell("shop", older)
    assert report.counts()["updated"] == 1  # its company is news, its city is not
    found = desk.lead("ana@exemplu.ro")
    assert found is not None
    assert (found.city, found.company) == ("Cluj", "Firma SRL")

    again = desk.tell("shop", [newer, older])
    assert (again.applied, again.duplicate) == (0, 2)
    two = {**newer, "lead": {**newer["lead"], "city": "Sibiu"}}
    report = desk.tell("shop", two)
    assert (report.applied, report.rejected) == (0, 1)
    with desk.db.read() as session:
        last = session.scalars(select(RawEvent).order_by(RawEvent.id.desc())).first()
        assert last is not None
        assert "came before with another content" in last.error


def test_every_order_of_updates_ends_in_the_same_lead(desk: Desk) -> None:
    told = [
        bodies.generic("c", minutes, email="ana@exemplu.ro", **{name: f"{name}{minutes}"})
        for minutes, name in ((1, "city"), (2, "company"), (3, "city"))
    ]
    ends = set()
    for number, order in enumerate(itertools.permutations(told)):
        mine = [
            {**one, "event_id": f"{one['event_id']}/{number}",
             "lead": {**one["lead"], "id": f"c{number}", "email": f"p{number}@exemplu.ro"}}
            for one in order
        ]  # fmt: skip
        desk.tell("shop", mine[:1])
        desk.tell("shop", mine[1:])
        found = desk.lead(f"p{number}@exemplu.ro")
        assert found is not None
        ends.add((found.city, found.company))
    assert ends == {("city3", "company2")}


def test_an_update_of_a_deleted_contact_is_refused_and_listed(any_desk: Desk) -> None:
    desk = any_desk
    desk.tell("shop", bodies.generic("c1", email="ana@exemplu.ro", city="Iași", consent=EXPRESS))
    report = desk.tell("shop", bodies.generic("c1", 5, "delete"))
    assert report.counts()["deleted"] == 1
    assert desk.consent("ana@exemplu.ro") is ConsentState.WITHDRAWN

    late = desk.tell("shop", bodies.generic("c1", 4, city="Cluj"))
    assert late.counts()["unchanged"] == 1
    report = desk.tell("shop", bodies.generic("c1", 6, city="Sibiu"))
    assert report.counts()["refused"] == 1
    found = desk.lead("ana@exemplu.ro")
    assert found is not None
    assert found.city == "Iași"
    assert desk.refused() == ["deleted"]

    desk.tell("shop", [bodies.generic("c1", 7, "restore"), bodies.generic("c1", 8, city="Oradea")])
    found = desk.lead("ana@exemplu.ro")
    assert found is not None
    assert found.city == "Oradea"
    assert desk.consent("ana@exemplu.ro") is ConsentState.WITHDRAWN
    assert desk.tell("shop", bodies.generic("never seen", 9, "delete")).counts()["deleted"] == 1


def test_a_merge_never_runs_in_a_circle(any_desk: Desk) -> None:
    desk = any_desk
    for name in ("a", "b", "c"):
        desk.tell("shop", bodies.generic(name, email=f"{name}@exemplu.ro", consent=EXPRESS))
    report = desk.tell("shop", bodies.generic("b", 1, "merge", merged=["a"]))
    assert report.counts()["merged"] == 1
    assert desk.consent("a@exemplu.ro") is ConsentState.WITHDRAWN  # one person, one mail
    assert desk.consent("b@exemplu.ro") is ConsentState.GRANTED

    report = desk.tell("shop", bodies.generic("a", 2, "merge", merged=["b"]))
    assert report.counts()["refused"] == 1
    assert desk.refused()[-1] == "merge_cycle"
    desk.tell("shop", bodies.generic("c", 3, "merge", merged=["b"]))
    desk.tell("shop", bodies.generic("a", 4, "merge", merged=["c"]))
    assert desk.refused()[-1] == "merge_cycle"
    desk.tell("shop", bodies.generic("b", 5, "merge", merged=["b"]))

    desk.tell("shop", bodies.generic("a", 6, city="Cluj"))  # news of a is news of c by now
    found = desk.lead("c@exemplu.ro")
    assert found is not None
    assert found.city == "Cluj"


def test_who_said_no_at_one_address_has_said_it_at_the_other(desk: Desk) -> None:
    for name in ("a", "b"):
        desk.tell("shop", bodies.generic(name, email=f"{name}@exemplu.ro", consent=EXPRESS))
    desk.stop("a@exemplu.ro")
    desk.tell("shop", bodies.generic("b", 1, "merge", merged=["a"]))
    assert desk.consent("b@exemplu.ro") is ConsentState.WITHDRAWN

    desk.tell("shop", bodies.generic("d", email="d@exemplu.ro", consent=EXPRESS))
    desk.stop("d@exemplu.ro")
    desk.tell("shop", bodies.generic("d", 1, email="new@exemplu.ro", consent=EXPRESS))
    assert desk.consent("new@exemplu.ro") is ConsentState.WITHDRAWN
    assert desk.refused()[-1] == "address"


def test_an_opt_in_for_somebody_who_left_here_changes_nothing_and_is_listed(any_desk: Desk) -> None:
    desk = any_desk
    desk.tell("shop", bodies.generic("c1", email="ana@exemplu.ro", consent=EXPRESS))
    desk.stop("ana@exemplu.ro")
    told = {"basis": "express", "source": "their other form", "at": "2026-11-23"}
    desk.tell("shop", bodies.generic("c1", 5, consent=told))
    assert desk.consent("ana@exemplu.ro") is ConsentState.WITHDRAWN
    assert desk.refused() == ["consent"]
    desk.tell("shop", bodies.generic("c1", 6, city="Cluj", consent=told))
    assert desk.refused() == ["consent"]  # said once

    desk.tell("shop", bodies.generic("c2", email="ion@exemplu.ro", consent={"basis": "yes"}))
    assert desk.consent("ion@exemplu.ro") is None
    assert desk.refused() == ["consent", "consent_unclear"]


def test_a_privacy_deletion_erases_and_nothing_brings_the_person_back(any_desk: Desk) -> None:
    desk = any_desk
    desk.tell("shop", bodies.generic("c-4711", email="ana.secreta@exemplu.ro", city="Iași"))
    report = desk.tell("shop", bodies.generic("c-4711", 1, "erase"))
    assert report.counts()["erased"] == 1
    assert desk.lead("ana.secreta@exemplu.ro") is None
    desk.tell("shop", bodies.generic("c-4711", 2, email="ana.secreta@exemplu.ro"))
    desk.tell("shop", bodies.generic("c-4711", 3, "restore"))
    desk.tell("shop", bodies.generic("c-4711", 4, email="ana.secreta@exemplu.ro"))
    desk.tell("shop", bodies.generic("other", 4, email="ana.secreta@exemplu.ro"))
    assert desk.lead("ana.secreta@exemplu.ro") is None
    assert set(desk.refused()) == {"erased"}
    with desk.db.read() as session:
        contact = session.scalars(select(CrmContact)).first()
        assert contact is not None
        assert (contact.external_id, contact.lead_id, contact.stamps) == ("", None, {})
        assert not any("4711" in row.event_hash for row in session.scalars(select(CrmSeen)))


def test_hubspot_is_asked_once_for_what_its_events_only_name(desk: Desk, hub: Portal) -> None:
    hub.contacts["17"] = (
        {"email": "ana@exemplu.ro", "firstname": "Ana", "hs_legal_basis": "express: the form"},
        bodies.iso(3),
    )
    events = [
        bodies.hubspot("creation", 17),
        bodies.hubspot("propertyChange", 17, 1, propertyName="email"),
        bodies.hubspot("propertyChange", 17, 2, propertyName="firstname"),
        bodies.hubspot("propertyChange", 18, 2, propertyName="firstname"),
    ]
    report = desk.tell("hub", events)
    assert hub.asked == [["17", "18"]]
    assert (report.counts()["created"], report.counts()["refused"]) == (1, 1)
    assert desk.refused() == ["unknown"]
    assert desk.consent("ana@exemplu.ro") is ConsentState.GRANTED

    hub.contacts["20"] = ({"email": "ana@exemplu.ro", "city": "Cluj"}, bodies.iso(5))
    merge = bodies.hubspot("merge", 20, 5, primaryObjectId=20, mergedObjectIds=[17])
    desk.tell("hub", [merge])
    found = desk.lead("ana@exemplu.ro")
    assert found is not None
    assert found.city == "Cluj"
    desk.tell("hub", [bodies.hubspot("privacyDeletion", 20, 6)])
    assert desk.lead("ana@exemplu.ro") is None


def test_news_waits_while_hubspot_is_away_and_others_go_on(desk: Desk, hub: Portal) -> None:
    hub.moods[:] = [(429, {"Retry-After": "3600"})]
    report = desk.tell("hub", [bodies.hubspot("creation", 17)])
    assert report.waiting == 1
    assert "429" in report.trouble
    hub.moods[:] = [(429, {"Retry-After": "3600"})]
    report = desk.tell("shop", bodies.generic("c", email="ion@exemplu.ro"))
    assert (report.counts()["created"], report.waiting) == (1, 1)

    hub.contacts["17"] = ({"email": "ana@exemplu.ro"}, bodies.iso())
    report = drain_crm(desk.db, desk.home, now=NOW)
    assert (report.counts()["created"], report.waiting) == (1, 0)


def test_salesforce_and_pipedrive_change_leads_too(desk: Desk) -> None:
    person = {"Id": "003A", "SystemModstamp": bodies.iso(), "Email": "ana@exemplu.ro"}
    desk.tell("sf", bodies.salesforce({**person, "FirstName": "Ana", "MailingCity": "Iași"}))
    desk.tell(
        "sf",
        bodies.salesforce(
            {**person, "SystemModstamp": bodies.iso(2), "HasOptedOutOfEmail": "true"}, start=9
        ),
    )
    found = desk.lead("ana@exemplu.ro")
    assert found is not None
    assert (found.first_name, found.city) == ("Ana", "Iași")
    digest = address_hash("ana@exemplu.ro", desk.home.secret("suppression.key"))
    with desk.db.read() as session:
        assert digest in consents.reasons(session, [digest])

    data = {"first_name": "Ion", "emails": [{"value": "ion@exemplu.ro", "primary": True}]}
    desk.tell("pipe", bodies.pipedrive("create", 7, data=data))
    desk.tell("pipe", bodies.pipedrive("delete", 7, 1))
    assert desk.consent("ion@exemplu.ro") is None  # on_delete = "keep"
    report = desk.tell("pipe", bodies.pipedrive("change", 7, 2, data=data))
    assert report.counts()["refused"] == 1


def test_what_cannot_be_read_is_kept_with_its_reason(desk: Desk) -> None:
    for body in (b"", b'[{"lead": {}}]', b"null", b'{"lead":{"id":"x"},"occurred_at":1e999}'):
        assert desk.tell("shop", body).rejected == 1
    assert desk.tell("shop", bodies.generic("c", email="no address")).counts()["refused"] == 1
    assert desk.tell("gone", b"{}").rejected == 1
    with desk.db.read() as session:
        assert all(row.drained_at for row in session.scalars(select(RawEvent)))


def test_a_change_that_breaks_our_rules_is_set_aside_and_those_behind_it_go_on(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_args: object, **_more: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(crm, "root", breaks)
        report = desk.tell("shop", bodies.generic("c1", email="ana@exemplu.ro"))
    assert (report.applied, report.rejected) == (0, 1)
    assert "ZeroDivisionError" in report.errors[0].reason
    assert desk.tell("shop", bodies.generic("c2", email="ion@exemplu.ro")).counts()["created"] == 1
