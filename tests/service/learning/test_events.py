"""What a provider reports is stored as it came, applied once, and stops mail at once."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from pigeonry.domain import ConsentState
from pigeonry.errors import WrongUse
from pigeonry.service import events as service
from pigeonry.service.events import drain_events, ingest_events, store_raw
from pigeonry.store import consents
from pigeonry.store.models import Event, Lead, Message, RawEvent, Suppression
from tests.service.learning.world import NOON, World, sendgrid

LATER = NOON + timedelta(days=1)
Make = Callable[[int], World]


def take(world: World, raws: list[dict[str, Any]] | bytes) -> service.IngestReport:
    body = raws if isinstance(raws, bytes) else json.dumps(raws).encode()
    return ingest_events(world.db, world.home, body, source="sendgrid", now=LATER)


def state(world: World) -> dict[str, tuple[str, str]]:
    with world.db.read() as session:
        rows = session.execute(select(Message.send_key, Message.state, Message.status))
        return {key: (state, status) for key, state, status in rows}


def test_a_file_taken_twice_gives_only_duplicates(world: Make) -> None:
    w = world(4)
    keys = w.sent(w.campaign())
    raws = [sendgrid("delivered", key) for key in keys] + [sendgrid("open", keys[0], at=LATER)]
    first, second = take(w, raws), take(w, raws)
    assert (first.received, first.applied, first.duplicate, first.rejected) == (5, 5, 0, 0)
    assert (second.received, second.applied, second.duplicate) == (5, 0, 5)
    with w.db.read() as session:
        assert session.scalar(select(func.count()).select_from(RawEvent)) == 1
        assert session.scalar(select(func.count()).select_from(Event)) == 5


def test_received_is_applied_and_duplicate_and_rejected(world: Make) -> None:
    w = world(2)
    [key, _] = w.sent(w.campaign())
    good = sendgrid("delivered", key)
    body = json.dumps([good, good, {"event": "open"}, sendgrid("open", key)])
    report = take(w, body[:-1].encode() + b',{"event":"open","timestamp":NaN}]')
    assert (report.received, report.applied, report.duplicate, report.rejected) == (5, 2, 1, 2)
    assert [error.position for error in report.errors] == [2, 4]


def test_the_same_events_in_any_order_leave_the_same_database(small: Make) -> None:
    w = small(6)
    first, second = w.campaign("One"), w.campaign("Two")
    pairs = list(zip(w.sent(first), w.sent(second), strict=True))
    hour = timedelta(hours=1)

    def story(key: str, n: int) -> list[dict[str, Any]]:
        events = [
            sendgrid("processed", key),
            sendgrid("delivered", key, at=NOON + hour),
            sendgrid("click", key, at=NOON + hour, url="https://a.example"),
            sendgrid("open", key, at=NOON + 3 * hour),
            sendgrid("click", key, at=NOON + 3 * hour, url="https://a.example"),
            sendgrid("bounce", key, at=NOON + 4 * hour, type="bounce"),
            sendgrid("unsubscribe", key, at=NOON + 5 * hour),
            sendgrid("spamreport", key, at=NOON + 6 * hour),
        ]
        return events[: n + 3]

    lot = random.Random(1)
    for n, (one, two) in enumerate(pairs):
        for key in (one, two):
            events = story(key, n)
            lot.shuffle(events)
            for raw in events:
                take(w, [raw])
        found = state(w)
        assert found[one] == found[two]
    with w.db.read() as session:
        rows = session.execute(
            select(Message.lead_id, Event.kind, Event.at, Event.human)
            .join(Message, Message.id == Event.message_id)
            .order_by(Message.lead_id, Event.at, Event.kind)
        ).all()
    by_campaign = {row: rows.count(row) for row in rows}
    assert set(by_campaign.values()) == {2}


@pytest.mark.parametrize("word", ["unsubscribe", "group_unsubscribe", "spamreport"])
def test_a_person_who_says_stop_is_suppressed_and_consent_is_withdrawn_at_once(
    world: Make, word: str
) -> None:
    w = world(2)
    [key, other] = w.sent(w.campaign())
    assert take(w, [sendgrid(word, key), sendgrid("open", other)]).suppressed == 1
    with w.db.read() as session:
        assert consents.consent_state(session, w.lead_ids[0]) is ConsentState.WITHDRAWN
        assert consents.consent_state(session, w.lead_ids[1]) is ConsentState.GRANTED
        hashes = list(session.scalars(select(Lead.address_hash).order_by(Lead.id)))
        assert consents.suppressed(session, hashes) == {hashes[0]}


def test_a_hard_bounce_suppresses_and_a_block_does_not(world: Make) -> None:
    w = world(3)
    [hard, blocked, dropped] = w.sent(w.campaign())
    take(
        w,
        [
            sendgrid("bounce", hard, type="bounce"),
            sendgrid("bounce", blocked, type="blocked"),
            sendgrid("dropped", dropped, reason="Spam Content (if spam checker app is enabled)"),
        ],
    )
    with w.db.read() as session:
        hashes = list(session.scalars(select(Lead.address_hash).order_by(Lead.id)))
        assert consents.suppressed(session, hashes) == {hashes[0]}
        assert consents.consent_state(session, w.lead_ids[0]) is ConsentState.GRANTED


def test_an_event_of_nobody_we_know_is_kept_without_address_and_makes_no_lead(world: Make) -> None:
    w = world(1)
    report = take(
        w,
        [
            sendgrid("open", "f" * 32, email="stranger@mail.example.com"),
            sendgrid("unsubscribe", "e" * 32, email="Stranger@Mail.example.com"),
            sendgrid("spamreport", "d" * 32, email="not an address"),
        ],
    )
    assert (report.applied, report.unmatched, report.suppressed) == (3, 3, 1)
    with w.db.read() as session:
        assert session.scalar(select(func.count()).select_from(Lead)) == 1
        assert session.scalar(select(func.count()).select_from(Suppression)) == 1
        for event in session.scalars(select(Event)):
            text = f"{event.url}{event.user_agent}{event.reason}{event.event_id}"
            assert "stranger" not in text.lower()


@pytest.mark.parametrize("before", ["unknown", "parked", "handing_over"])
def test_an_event_proves_that_a_message_of_unknown_fate_left(world: Make, before: str) -> None:
    w = world(1)
    [key] = w.sent(w.campaign(), state=before)
    report = take(w, [sendgrid("processed", key, at=NOON + timedelta(hours=1))])
    assert report.proven == 1
    with w.db.read() as session:
        message = session.scalars(select(Message)).one()
        assert message.state == "accepted"
        assert message.accepted_at == NOON  # the hand-over's time
        assert message.status == "processed"


@pytest.mark.parametrize("before", ["planned", "claimed", "failed", "cancelled"])
def test_an_event_changes_no_state_that_is_certain(world: Make, before: str) -> None:
    w = world(1)
    [key] = w.sent(w.campaign(), state=before)
    take(w, [sendgrid("processed", key)])
    assert state(w)[key][0] == before


def test_without_our_key_the_provider_id_finds_the_message(world: Make) -> None:
    w = world(2)
    [key, _] = w.sent(w.campaign())
    raw = sendgrid("delivered", sg_message_id=f"p{key}.filter0001.16648.5515E0B88.0")
    assert take(w, [raw]).unmatched == 0
    assert state(w)[key][1] == "delivered"


def test_one_event_id_with_two_meanings_is_refused_and_said(world: Make) -> None:
    w = world(1)
    [key] = w.sent(w.campaign())
    take(w, [sendgrid("delivered", key, sg_event_id="same")])
    report = take(w, [sendgrid("spamreport", key, sg_event_id="same")])
    assert report.rejected == 1
    assert "came before as delivered" in report.errors[0].reason


def test_a_body_that_is_no_json_is_kept_and_drained_only_once(world: Make) -> None:
    w = world(1)
    report = take(w, b"<html>502 Bad Gateway</html>")
    assert (report.received, report.rejected) == (1, 1)
    with w.db.read() as session:
        row = session.scalars(select(RawEvent)).one()
        assert row.body == b"<html>502 Bad Gateway</html>"
        assert row.drained_at is not None
        assert "not JSON" in row.error
    assert drain_events(w.db, w.home, now=LATER).received == 0


def test_a_drain_that_was_killed_in_the_middle_goes_on(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = world(4)
    keys = w.sent(w.campaign())
    body = json.dumps([sendgrid("delivered", key) for key in keys]).encode()
    store_raw(w.db, body, source="sendgrid", now=LATER)
    monkeypatch.setattr(service, "_BATCH", 2)

    def dies(label: str, done: int, total: int | None = None) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        drain_events(w.db, w.home, now=LATER, progress=dies)
    report = drain_events(w.db, w.home, now=LATER)
    assert (report.applied, report.duplicate) == (2, 2)
    assert {status for _, status in state(w).values()} == {"delivered"}


def test_trouble_with_the_account_is_shown_to_the_operator(small: Make) -> None:
    report = take(small(0), [sendgrid("account_status_change", type="suspended")])
    assert report.alerts == ("the provider reports account_status_change: suspended",)


def test_an_unknown_source_is_refused_before_anything_is_stored(small: Make) -> None:
    w = small(0)
    with pytest.raises(WrongUse, match="did you mean 'sendgrid'"):
        ingest_events(w.db, w.home, b"[]", source="sendgird", now=LATER)
    with w.db.read() as session:
        assert session.scalar(select(func.count()).select_from(RawEvent)) == 0


def test_two_that_take_in_events_of_the_same_messages_at_once_lose_nothing(world: Make) -> None:
    w = world(40)
    keys = w.sent(w.campaign())
    hour = timedelta(hours=1)
    bodies = [
        [sendgrid("delivered", key) for key in keys] + [sendgrid("spamreport", keys[0], at=LATER)],
        [sendgrid("click", key, at=NOON + 3 * hour, url="https://a.example") for key in keys[::-1]],
        [sendgrid("delivered", key) for key in keys[::-1]] + [sendgrid("unsubscribe", keys[1])],
        [sendgrid("open", key, at=NOON + 2 * hour) for key in keys],
    ]
    with ThreadPoolExecutor(4) as pool:
        reports = list(pool.map(lambda raws: take(w, raws), bodies))
    assert sum(report.received for report in reports) == 162
    assert all(r.received == r.applied + r.duplicate + r.rejected for r in reports)
    with w.db.read() as session:
        assert session.scalar(select(func.count()).select_from(Event)) == 122
    found = [status for _, status in state(w).values()]
    assert sorted(set(found)) == ["click", "complaint", "unsubscribe"]
    assert found.count("click") == 38
