"""Conversions belong to the mail that came before them; those of held-out leads are kept for the lift."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from pigeonry.errors import BadInput
from pigeonry.service.conversions import ingest_conversions
from pigeonry.service.events import ingest_events
from pigeonry.service.ingest_report import IngestReport
from pigeonry.store import events as store
from pigeonry.store.models import Event, Lead, Message
from tests.service.learning.world import NOON, World

LATER = NOON + timedelta(days=20)
Make = Callable[[int], World]


def take(world: World, *raws: dict[str, Any]) -> IngestReport:
    body = json.dumps(raws).encode()
    return ingest_events(world.db, world.home, body, source="conversions", now=LATER)


def bought(place: int, **more: Any) -> dict[str, Any]:
    base = {"email": f"lead{place}@mail.example.org", "at": (NOON + timedelta(days=1)).isoformat()}
    return {**base, "value": "49,90", "currency": "RON", **more}


def rows(world: World) -> list[tuple[str | None, int, str, str]]:
    """(send key, value, currency, address hash) of each stored conversion."""
    with world.db.read() as session:
        found = session.execute(
            select(Message.send_key, Event.value_micros, Event.currency, Event.address_hash)
            .select_from(Event)
            .outerjoin(Message, Message.id == Event.message_id)
            .order_by(Event.id)
        )
        return [tuple(row) for row in found]  # type: ignore[misc]


def test_a_conversion_belongs_to_the_last_mail_before_it_within_the_window(world: Make) -> None:
    w = world(1)
    [first] = w.sent(w.campaign("One"), at=NOON)
    [second] = w.sent(w.campaign("Two"), at=NOON + timedelta(days=3))
    days = (("before", -1), ("one", 1), ("two", 4), ("edge", 10), ("late", 11))
    for name, day in days:
        take(w, bought(1, id=name, at=(NOON + timedelta(days=day)).isoformat()))
    assert [key for key, *_ in rows(w)] == [None, first, second, second, None]
    assert {micros for _, micros, *_ in rows(w)} == {49_900_000}
    with w.db.read() as session:
        statuses = session.scalars(select(Message.status).order_by(Message.id)).all()
        assert statuses == ["conversion", "conversion"]


@pytest.mark.parametrize("by", ["email", "send_key", "external_id"])
def test_a_person_is_named_by_address_by_our_key_or_by_another_systems_id(
    small: Make, by: str
) -> None:
    w = small(2)
    keys = w.sent(w.campaign())
    with w.db.write() as session:
        session.execute(update(Lead).where(Lead.id == w.lead_ids[1]).values(external_id="CRM-2"))
    who = {"email": "Lead2@Mail.example.org", "send_key": keys[1], "external_id": "CRM-2"}
    report = take(w, {**bought(2), "email": "", by: who[by]})
    assert (report.applied, report.unmatched, report.rejected) == (1, 0, 0)
    assert [key for key, *_ in rows(w)] == [keys[1]]


def test_the_same_conversion_counts_once(small: Make) -> None:
    w = small(1)
    w.sent(w.campaign())
    raw = bought(1, id="A-1")
    assert take(w, raw).applied == 1
    assert take(w, raw, bought(1, id="A-2")).duplicate == 1
    assert len(rows(w)) == 2


def test_who_is_nobody_is_counted_and_becomes_no_lead(small: Make) -> None:
    w = small(1)
    report = take(w, bought(99), {**bought(1), "email": "", "external_id": "unknown"})
    assert (report.applied, report.unmatched) == (2, 2)
    with w.db.read() as session:
        assert session.scalar(select(func.count()).select_from(Lead)) == 1


def test_a_held_out_leads_conversion_is_there_for_the_lift(world: Make) -> None:
    w = world(3)
    w.sent(w.campaign(), leads=w.lead_ids[:2])
    take(w, bought(1), bought(3, value=10), bought(99))
    with w.db.read() as session:
        found = store.conversions(session, since=NOON, until=LATER)
        mails = list(session.scalars(select(Message.id).order_by(Message.id)))
    assert [(row.lead_id, row.message_id, row.value_micros) for row in found] == [
        (w.lead_ids[0], mails[0], 49_900_000),
        (w.lead_ids[2], None, 10_000_000),
    ]


def test_a_messy_file_is_read_and_its_bad_rows_are_named(small: Make, tmp_path: Path) -> None:
    w = small(2)
    keys = w.sent(w.campaign())
    file = tmp_path / "comenzi.csv"
    file.write_bytes(
        (
            "Nr. comandă;Adresă de e-mail;Data comenzii;Valoare;Monedă\r\n"
            "1;lead1@mail.example.org;03.03.2026 10:00;1.234,50;lei\r\n"
            "2;lead2@mail.example.org;03.03.2026;12,5;RON\r\n"
            "3;lead2@mail.example.org;31.02.2026;12,5;RON\r\n"
            "4;nobody@else.example.org;03.03.2026;5;RON\r\n"
            "5;lead2@mail.example.org;03.03.2026;1.234;RON\r\n"
            "6;lead2@mail.example.org;03.03.2026;5\r\n"
        ).encode("windows-1250")
    )
    report = ingest_conversions(w.db, w.home, file, now=LATER)
    assert (report.received, report.applied, report.rejected, report.unmatched) == (6, 3, 3, 1)
    assert sorted(error.position for error in report.errors) == [4, 6, 7]
    assert [(key, micros, code) for key, micros, code, _ in rows(w)] == [
        (keys[0], 1_234_500_000, "RON"),
        (keys[1], 12_500_000, "RON"),
        (None, 5_000_000, "RON"),
    ]
    again = ingest_conversions(w.db, w.home, file, now=LATER)
    assert (again.applied, again.duplicate, again.rejected) == (0, 3, 3)


def test_a_file_without_a_person_or_a_date_is_refused(small: Make, tmp_path: Path) -> None:
    file = tmp_path / "x.csv"
    file.write_text("amount,currency\n5,RON\n")
    w = small(0)
    with pytest.raises(BadInput, match=r"a person .* and for a date"):
        ingest_conversions(w.db, w.home, file, now=LATER)
