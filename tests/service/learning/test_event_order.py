"""The same events leave the same state: in any order, copied, split, from several sources, with kills between."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, func, select, update

from pigeonry.config import Home
from pigeonry.service import events as service
from pigeonry.service.events import drain_events, ingest_events, store_raw
from pigeonry.store import raw_events
from pigeonry.store.models import Consent, Event, Message, RawEvent, Suppression
from pigeonry.store.session import Database
from tests.feedback.answers import mail
from tests.service.learning.world import BROWSER, NOON, World, sendgrid

LATER = NOON + timedelta(days=2)
Make = Callable[[int], World]


def at(hours: float) -> Any:
    return NOON + timedelta(hours=hours)


def own(key: str, number: int, hours: float, **more: Any) -> dict[str, Any]:
    base = {"id": f"{number:032x}", "kind": "click", "send_key": key, "at": at(hours).isoformat()}
    return {**base, "useragent": BROWSER, "url": "https://a.example/1", **more}


Element = tuple[str, Any]  # source, JSON element or bytes


def stories(keys: Sequence[str]) -> list[Element]:
    """What happens to six messages, told by four sources."""
    a, b, c, d, e, f = keys
    told: list[Element] = [
        ("sendgrid", sendgrid("processed", a)),
        ("sendgrid", sendgrid("delivered", a, at=at(1))),
        ("sendgrid", sendgrid("open", a, at=at(2))),
        ("own", own(a, 1, 3)),
        ("inbound", mail("Mulțumesc!", key=a, From="lead1@mail.example.org")),
        ("conversions", {"id": "1", "send_key": a, "at": at(5).isoformat(), "value": 5, "currency": "RON"}),
        ("sendgrid", sendgrid("deferred", b)),
        ("sendgrid", sendgrid("bounce", b, at=at(1), type="bounce")),
        ("sendgrid", sendgrid("delivered", b, at=at(0.5))),
        ("own", own(c, 2, 0.0005)),  # two seconds after the hand-over
        ("own", own(c, 3, 0.0008, url="https://a.example/2")),
        ("own", own(c, 4, 9, url="https://a.example/2")),
        ("sendgrid", sendgrid("delivered", c, at=at(0))),
        ("inbound", mail("Dezabonare", key=d, From="other@mail.example.org")),
        ("sendgrid", sendgrid("click", d, at=at(3), url="https://a.example/1")),
        ("sendgrid", sendgrid("spamreport", e, at=at(6))),
        ("sendgrid", sendgrid("group_unsubscribe", e, at=at(5), asm_group_id=3)),
        ("sendgrid", sendgrid("group_resubscribe", e, at=at(7), asm_group_id=3)),
        ("own", own(f, 5, 4, hidden=True)),
        ("own", own(f, 6, 4.01)),
        ("sendgrid", sendgrid("unsubscribe", "0" * 32, email="stranger@else.example.org")),
        ("sendgrid", sendgrid("account_status_change", type="suspended")),
    ]  # fmt: skip
    return told


def body(source: str, elements: Sequence[Any]) -> bytes:
    return elements[0] if source == "inbound" else json.dumps(list(elements)).encode()


def state(world: World) -> dict[str, Any]:
    """Everything that may not depend on how the events came."""
    with world.db.read() as session:

        def rows(query: Any) -> list[tuple[Any, ...]]:
            return sorted(tuple(row) for row in session.execute(query))

        return {
            "messages": rows(select(Message.send_key, Message.state, Message.status)),
            "events": rows(
                select(
                    Event.source, Event.event_id, Event.kind, Event.at, Event.human, Event.why,
                    func.coalesce(Event.message_id, 0), Event.address_hash, Event.value_micros,
                )
            ),
            "suppressed": rows(select(Suppression.address_hash, Suppression.reason)),
            "withdrawn": rows(
                select(Consent.lead_id).where(Consent.state == "withdrawn").distinct()
            ),
        }  # fmt: skip


def forget(world: World) -> None:
    with world.db.write() as session:
        for table in (Event, RawEvent, Suppression):
            session.execute(delete(table))
        session.execute(delete(Consent).where(Consent.state == "withdrawn"))
        session.execute(update(Message).values(status="", state="unknown", accepted_at=None))


class Killed(Exception):
    """Stands for SIGKILL between two transactions."""


def played(
    world: World, told: Sequence[Element], lot: random.Random, kills: float
) -> dict[str, Any]:
    """Shuffled, copied, split into bodies, drained now and then, killed at times; and the rest at the end."""
    copies = [element for element in told for _ in range(lot.choice((1, 1, 2, 3)))]
    lot.shuffle(copies)
    waiting: dict[str, list[Any]] = {}

    def flush(source: str) -> None:
        if elements := waiting.pop(source, []):
            raw = body(source, elements)
            # The same bytes again would be recognised as a whole; a provider's retry is split anew.
            store_raw(world.db, raw + b" " * lot.randrange(3), source=source, now=LATER)

    for source, element in copies:
        waiting.setdefault(source, []).append(element)
        if source == "inbound" or lot.random() < 0.4:
            flush(source)
        if lot.random() < 0.2:
            drain(world, lot, kills)
    for source in list(waiting):
        flush(source)
    while kills and drain(world, lot, kills):
        kills *= 0.7
        if kills < 0.05:
            break
    drain_events(world.db, world.home, now=LATER)
    return state(world)


def drain(world: World, lot: random.Random, kills: float) -> bool:
    """Whether it was killed."""
    real = service._suppress, service._apply, raw_events.mark_drained

    def deadly(work: Callable[..., Any], after: bool) -> Callable[..., Any]:
        def does(*args: Any, **more: Any) -> Any:
            if not after and lot.random() < kills:
                raise Killed
            found = work(*args, **more)
            if after and lot.random() < kills:
                raise Killed
            return found

        return does

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "_BATCH", lot.choice((1, 2, 3, 2000)))
        patch.setattr(service, "_suppress", deadly(real[0], after=True))
        patch.setattr(service, "_apply", deadly(real[1], after=lot.random() < 0.5))
        patch.setattr(raw_events, "mark_drained", deadly(real[2], after=True))
        try:
            drain_events(world.db, world.home, now=LATER)
        except Killed:
            return True
    return False


@pytest.fixture
def told(database: Database, home: Home) -> tuple[World, list[Element], dict[str, Any]]:
    """A world, its stories, and the state after each was taken once, in order."""
    world = World(database, home, leads=6)
    keys = world.sent(world.campaign(), state="unknown")
    elements = stories(keys)
    for source, element in elements:
        ingest_events(database, home, body(source, [element]), source=source, now=LATER)
    return world, elements, state(world)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32), kills=st.sampled_from([0.0, 0.3]))
def test_any_order_copies_splits_and_kills_leave_the_same_state(
    told: tuple[World, list[Element], dict[str, Any]], seed: int, kills: float
) -> None:
    world, elements, expected = told
    forget(world)
    assert played(world, elements, random.Random(seed), kills) == expected


def test_the_expected_state_is_the_lattices(
    told: tuple[World, list[Element], dict[str, Any]],
) -> None:
    world, _, expected = told
    statuses = [status for _, _, status in expected["messages"]]
    assert statuses == [
        "conversion", "bounce", "click", "unsubscribe", "complaint", "delivered",
    ]  # fmt: skip
    assert {state for _, state, _ in expected["messages"]} == {"accepted"}
    assert expected["withdrawn"] == [(world.lead_ids[3],), (world.lead_ids[4],)]
    reasons = sorted(reason for _, reason in expected["suppressed"])
    assert reasons == ["bounce", "complaint", "unsubscribe", "unsubscribe", "unsubscribe"]


def test_several_drains_at_once_apply_each_body_once(world: Make) -> None:
    w = world(30)
    keys = w.sent(w.campaign())
    raws = [
        sendgrid(word, key, at=at(hour), url=f"https://a.example/{hour}")
        for key in keys
        for hour, word in enumerate(("processed", "delivered", "open", "click"))
    ]
    random.Random(3).shuffle(raws)
    for start in range(0, len(raws), 8):
        store_raw(w.db, json.dumps(raws[start : start + 8]).encode(), source="sendgrid", now=LATER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "_BODIES", 2)
        with ThreadPoolExecutor(3) as pool:
            reports = list(pool.map(lambda _: drain_events(w.db, w.home, now=LATER), range(3)))
    assert sum(report.applied for report in reports) == len(raws)
    assert sum(report.received for report in reports) == len(raws)
    with w.db.read() as session:
        assert raw_events.count_undrained(session) == 0
        assert set(session.scalars(select(Message.status))) == {"click"}


def test_a_body_that_was_removed_for_its_age_is_still_known_and_so_are_its_events(
    world: Make,
) -> None:
    w = world(1)
    [key] = w.sent(w.campaign())
    raw = json.dumps([sendgrid("click", key, at=at(2), url="https://a.example")]).encode()
    ingest_events(w.db, w.home, raw, source="sendgrid", now=LATER)
    with w.db.write() as session:
        session.execute(update(RawEvent).values(body=b""))
    store_raw(w.db, raw, source="sendgrid", now=LATER)
    assert drain_events(w.db, w.home, now=LATER).received == 0
    for again in (raw, raw + b" "):
        report = ingest_events(w.db, w.home, again, source="sendgrid", now=LATER)
        assert (report.applied, report.duplicate) == (0, 1)
