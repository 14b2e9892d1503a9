"""What comes in after an erasure: it stops whom it should, and nothing of the erased person stays in clear."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest
from sqlalchemy import select, update

from pigeonry.config import Home
from pigeonry.delivery.links import load_links
from pigeonry.domain import SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.service.events import drain_events, ingest_events, store_raw
from pigeonry.service.late import addresses_in
from pigeonry.service.people import erase_person
from pigeonry.store import consents
from pigeonry.store.models import Event, Lead, Message, RawEvent
from pigeonry.store.session import Database
from tests.service.learning.world import World

NOW = datetime(2026, 3, 5, 9, 0, tzinfo=UTC)
GONE, STAYS = "lead1@mail.example.org", "lead2@mail.example.org"


@dataclass(frozen=True)
class After:
    """One of two people was erased; both had got a mail."""

    db: Database
    home: Home
    key: str  # of the erased person's mail
    other: str
    token: str

    def take(self, source: str, body: bytes) -> None:
        store_raw(self.db, body, source=source, now=NOW)
        drain_events(self.db, self.home, now=NOW)

    def stored(self) -> tuple[list[bytes], list[tuple[str, str]]]:
        """Bodies, and (kind, hash) of events."""
        with self.db.read() as session:
            bodies = list(session.scalars(select(RawEvent.body).order_by(RawEvent.id)))
            events = session.execute(select(Event.kind, Event.address_hash).order_by(Event.id))
            return bodies, [(kind, digest) for kind, digest in events]


@pytest.fixture
def after(any_database: Database, home: Home) -> After:
    w = World(any_database, home, leads=2)
    with w.db.write() as session:
        session.execute(
            update(Lead).where(Lead.id == w.lead_ids[0]).values(external_id="crm-canar-4711")
        )
    campaign = w.campaign()
    keys = w.sent(campaign)
    token = load_links(home).unsubscribe_token(w.lead_ids[0], campaign)
    erase_person(w.db, home, GONE, now=NOW)
    return After(w.db, home, keys[0], keys[1], token)


def element(word: str, email: str, key: str, number: int = 1) -> dict[str, object]:
    return {
        "event": word, "email": email, "timestamp": int(NOW.timestamp()), "send_key": key,
        "sg_event_id": f"{word}-{email}-{number}", "useragent": "Firefox", "ip": "192.0.2.77",
    }  # fmt: skip


def mail(sender: str, *, subject: str = "Re: News", key: str = "", text: str = "Salut") -> bytes:
    found = EmailMessage()
    found["From"], found["To"], found["Subject"] = sender, "hello@shop.example", subject
    found["Message-ID"] = f"<{len(text)}-{subject[:3].strip()}@home.example>"
    if key:
        found["In-Reply-To"] = f"<{key}@shop.example>"
    found.set_content(text)
    return found.as_bytes()


def test_a_late_report_loses_the_erased_person_and_keeps_the_others(after: After) -> None:
    said = [element("click", GONE.upper(), after.key), element("open", STAYS, after.other)]
    after.take("sendgrid", json.dumps(said).encode())
    bodies, events = after.stored()
    assert [json.loads(body) for body in bodies] == [[said[1]]]
    assert [kind for kind, _ in events] == ["open"]


def test_a_flawed_element_that_names_the_person_goes_too(after: After) -> None:
    flawed = {**element("open", GONE, after.key), "timestamp": "yesterday"}
    after.take("sendgrid", json.dumps([flawed, element("open", STAYS, after.other)]).encode())
    bodies, _ = after.stored()
    assert GONE.encode() not in bodies[0]
    assert STAYS.encode() in bodies[0]


@pytest.mark.parametrize("alone", [True, False])
def test_an_open_of_a_mail_that_is_no_more_leaves_no_trace_of_the_computer(
    after: After, alone: bool
) -> None:
    lines = [
        json.dumps(
            {"id": f"{n:032x}", "send_key": key, "kind": "open", "at": NOW.isoformat(), "ip": ip}
        )
        for n, (key, ip) in enumerate([(after.key, "192.0.2.1"), (after.other, "192.0.2.2")])
    ]
    after.take("own", "\n".join(lines[:1] if alone else lines).encode())
    bodies, events = after.stored()
    assert b"192.0.2.1" not in bodies[0]
    assert (bodies[0] == b"") is alone
    assert len(events) == (0 if alone else 1)


def test_a_reply_from_an_unknown_address_to_an_erased_persons_mail_goes(after: After) -> None:
    """The key in In-Reply-To, or the token in the subject, tells whose mail was answered."""
    after.take("inbound", mail("acasa@elsewhere.example", key=after.key, text="Sunt tot eu"))
    after.take("inbound", mail("altul@elsewhere.example", subject=f"unsubscribe {after.token}"))
    after.take("inbound", mail(GONE, text="Mai trimiteti?"))
    assert after.stored() == ([b"", b"", b""], [])
    digest = address_hash("altul@elsewhere.example", after.home.secret("suppression.key"))
    with after.db.read() as session:
        assert consents.suppressed(session, [digest]) == {digest}


def test_a_strangers_mail_that_names_an_erased_person_is_not_kept(after: After) -> None:
    after.take("inbound", mail("coleg@elsewhere.example", text=f"{GONE} nu mai lucrează aici."))
    bodies, events = after.stored()
    assert bodies == [b""]
    assert len(events) == 1


def test_a_purchase_is_known_by_the_other_systems_id(after: After) -> None:
    said = [{"id": "1", "external_id": "crm-canar-4711", "at": NOW.isoformat(), "value": "1 EUR"}]
    after.take("conversions", json.dumps(said).encode())
    assert after.stored() == ([b"[]"], [])


def test_a_forwarded_mail_still_stops_whom_it_was_sent_to(after: After) -> None:
    """An erased person answers somebody else's mail: the words go, what follows from them stays."""
    after.take("inbound", mail(GONE, key=after.other, text="dezabonare"))
    bodies, events = after.stored()
    assert bodies == [b""]
    assert ("unsubscribe", "") in events
    with after.db.read() as session:
        hashes = list(session.scalars(select(Message.address_hash)))
        assert consents.suppressed(session, hashes) == set(hashes)


def test_the_same_report_again_leaves_nothing_either(after: After) -> None:
    body = json.dumps([element("spamreport", GONE, after.key)]).encode()
    for _ in range(2):
        ingest_events(after.db, after.home, body, source="sendgrid", now=NOW)
        assert after.stored() == ([b"[]"], [])
    with after.db.read() as session:
        assert consents.with_reason(session, SuppressionReason.ERASURE)


def test_nothing_is_left_in_the_databases_log(
    database: Database, home: Home, tmp_path: Path
) -> None:
    w = World(database, home, leads=1)
    [key] = w.sent(w.campaign())
    erase_person(database, home, GONE, now=NOW)
    store_raw(
        database, json.dumps([element("open", GONE, key)]).encode(), source="sendgrid", now=NOW
    )
    drain_events(database, home, now=NOW)
    found = [path.name for path in home.path.rglob("*") if path.is_file()
             and GONE.encode() in path.read_bytes().lower()]  # fmt: skip
    assert found == []


def test_addresses_are_found_in_any_text_in_linear_time() -> None:
    text = f'{{"a": "{GONE}"}},Ion <Ion.Pop@Exemplu.RO>; x@y' + "a" * 400_000 + "@@@" + "b@" * 1000
    assert {GONE, "Ion.Pop@Exemplu.RO"} <= set(addresses_in(text))
