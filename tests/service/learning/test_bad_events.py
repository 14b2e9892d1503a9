"""Bodies as nobody should send them: what is good in them counts, the rest is kept and said, nothing raises."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from feedback.events import ParsedEvents
from pigeonry.service import events as service
from pigeonry.service.events import drain_events, ingest_events, store_raw
from pigeonry.store.models import Event, Lead, Message, RawEvent, Suppression
from pigeonry.store.raw_events import RawBody
from tests.service.learning.world import NOON, World, sendgrid

LATER = NOON + timedelta(days=1)
KEY = f"{1_000_001:032x}"
Make = Callable[[int], World]


def element(n: int, **more: Any) -> str:
    return json.dumps(sendgrid("delivered", KEY, sg_event_id=f"e{n}", **more))


def spoiled(bad: str, good: int = 4) -> str:
    """An array of good elements with a bad one in the middle."""
    parts = [element(n) for n in range(good)]
    return "[" + ",".join([*parts[: good // 2], bad, *parts[good // 2 :]]) + "]"


@dataclass(frozen=True)
class Case:
    """A number of the catalogue, a body, and (applied, rejected)."""

    number: int
    name: str
    body: str | bytes
    counts: tuple[int, int]
    says: str = ""
    kept: dict[str, Any] = field(default_factory=dict)


CASES = (
    Case(39, "not JSON", "<html>502</html>", (0, 1), "not JSON"),
    Case(39, "no bytes", "", (0, 1), "empty"),
    Case(39, "an object instead of an array", element(1), (1, 0)),
    Case(39, "one bad element of 500", spoiled('{"event" "delivered"}', 499), (499, 1), "not JSON"),
    Case(39, "a number among events", spoiled("17"), (4, 1), "this is a number"),
    Case(39, "a cut body", spoiled("{}")[:-30], (3, 2)),
    Case(40, "NaN", spoiled('{"event":"open","timestamp":NaN}'), (4, 1), "NaN"),
    Case(40, "1e999", spoiled('{"event":"open","timestamp":1e999}'), (4, 1), "beyond any range"),
    Case(40, "5,000 digits", spoiled('{"event":"open","x":%s}' % ("9" * 5000)), (4, 1), "digits"),
    Case(40, "100,000 nested arrays", spoiled('{"x":' + "[" * 10**5 + "]" * 10**5 + "}"), (4, 1), "nested"),
    Case(40, "a key twice", spoiled('{"event":"open","timestamp":1772452800,"timestamp":1}'), (4, 1), "twice"),
    Case(40, "a lone surrogate", spoiled(element(9, useragent="a").replace('"a"', '"\\ud800"')), (5, 0)),
    Case(40, "bytes that are no UTF-8", element(1, useragent="a").encode().replace(b'"a"', b'"\xff\xfe"'), (1, 0)),
    Case(41, "an unknown type", spoiled(element(9).replace("delivered", "teleported")), (5, 0),
         kept={"kind": "other", "reason": "teleported"}),
    Case(41, "an unknown field", element(1, new={"deep": [1, {"x": None}]}), (1, 0)),
    Case(42, "no id", element(1).replace('"sg_event_id": "e1", ', ""), (1, 0)),
    Case(42, "an id that is none", element(1).replace('"e1"', "{}"), (1, 0)),
    Case(44, "a message of nobody", json.dumps(sendgrid("open", "f" * 32, email="who@else.example.org")), (1, 0),
         kept={"message_id": None}),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number} {case.name}")
def test_a_bad_body_spoils_only_what_is_bad_in_it(small: Make, case: Case) -> None:
    w = small(1)
    assert w.sent(w.campaign()) == [KEY]
    body = case.body if isinstance(case.body, bytes) else case.body.encode()
    report = ingest_events(w.db, w.home, body, source="sendgrid", now=LATER)
    assert (report.applied, report.rejected) == case.counts
    assert report.received == report.applied + report.rejected
    assert case.says in " ".join(error.reason for error in report.errors)
    with w.db.read() as session:
        raw = session.scalars(select(RawEvent)).one()
        assert raw.body == body
        assert raw.drained_at is not None
        assert case.says in raw.error
        assert session.scalar(select(func.count()).select_from(Event)) == case.counts[0]
        assert session.scalar(select(func.count()).select_from(Lead)) == 1
        if case.kept:
            rows = session.scalars(select(Event)).all()
            assert case.kept in [{name: getattr(row, name) for name in case.kept} for row in rows]


def test_case_42_the_same_event_without_an_id_is_one_event(small: Make) -> None:
    w = small(1)
    w.sent(w.campaign())
    raw = {name: value for name, value in sendgrid("open", KEY).items() if name != "sg_event_id"}
    for told in (raw, dict(reversed(raw.items()))):
        body = json.dumps([told], indent=1).encode()
        report = ingest_events(w.db, w.home, body, source="sendgrid", now=LATER)
    assert (report.applied, report.duplicate) == (0, 1)


def test_case_43_every_order_of_the_contradictions_ends_alike(small: Make) -> None:
    stories = {
        ("delivered", "bounce", "spamreport"): "complaint",
        ("click", "delivered", "processed"): "click",
        ("unsubscribe", "bounce", "click"): "unsubscribe",
        ("dropped", "deferred", "open"): "dropped",
    }
    w = small(1)
    for number, (words, strongest) in enumerate(stories.items()):
        for turn, order in enumerate(itertools.permutations(words)):
            [key] = w.sent(w.campaign(f"{number}-{turn}"))
            for word in order:
                raw = sendgrid(word, key, at=NOON + timedelta(hours=2 + len(word)))
                body = json.dumps([raw]).encode()
                ingest_events(w.db, w.home, body, source="sendgrid", now=LATER)
            with w.db.read() as session:
                query = select(Message.status).where(Message.send_key == key)
                assert session.scalar(query) == strongest, order


def test_case_44_who_was_erased_stays_a_hash(small: Make) -> None:
    """An event of somebody we no longer know is kept without an address, and stops them all the same."""
    w = small(0)
    raw = sendgrid("unsubscribe", "e" * 32, email="Gone@Else.example.org")
    ingest_events(w.db, w.home, json.dumps([raw]).encode(), source="sendgrid", now=LATER)
    with w.db.read() as session:
        event = session.scalars(select(Event)).one()
        [suppressed] = session.scalars(select(Suppression.address_hash))
        assert event.address_hash == suppressed
        assert session.scalar(select(func.count()).select_from(Lead)) == 0


def test_all_cases_from_39_to_44_are_here(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {case.number for case in CASES} | {42, 43, 44}
    assert numbers == set(range(39, 45))
    with capsys.disabled():
        print(f"\nbad event bodies: {len(CASES)} of {len(CASES)} cases, catalogue numbers 39-44")


def test_a_body_that_breaks_its_parser_is_set_aside_and_holds_up_nobody(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = small(1)
    w.sent(w.campaign())

    def breaks(raw: RawBody) -> ParsedEvents:
        raise RecursionError

    monkeypatch.setitem(service._PARSERS, "inbound", breaks)  # type: ignore[arg-type]
    store_raw(w.db, b"From: a@example.ro", source="inbound", now=LATER)
    store_raw(w.db, element(1).encode(), source="sendgrid", now=LATER)
    report = drain_events(w.db, w.home, now=LATER)
    assert (report.applied, report.rejected) == (1, 1)
    assert "could not be read (RecursionError)" in report.errors[0].reason
    with w.db.read() as session:
        kept = session.scalars(select(RawEvent).where(RawEvent.source == "inbound")).one()
        assert kept.body == b"From: a@example.ro"
        assert "RecursionError" in kept.error
