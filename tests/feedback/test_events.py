"""SendGrid's words become ours; nothing that a body holds stops the rest of it."""

from __future__ import annotations

import itertools
import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.events import (
    judged,
    status,
    suppression,
    withdraws_consent,
)
from feedback.sendgrid_events import parse_sendgrid
from pigeonry.domain import Event, EventKind, SuppressionReason

KEY = "0123456789abcdef0123456789abcdef"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def element(event: str = "delivered", **more: Any) -> dict[str, Any]:
    base = {"event": event, "timestamp": 1_772_452_800, "email": "ana@example.ro"}
    return {**base, "sg_event_id": "abc", **more}


def one(raw: dict[str, Any]) -> Event:
    [received], errors = parse_sendgrid(json.dumps([raw]).encode()).read()
    assert not errors
    return received.event


@pytest.mark.parametrize(
    ("word", "more", "kind"),
    [
        ("processed", {}, EventKind.PROCESSED),
        ("deferred", {"attempt": "3"}, EventKind.DEFERRED),
        ("delivered", {}, EventKind.DELIVERED),
        ("open", {}, EventKind.OPEN),
        ("click", {"url": "https://a.ro"}, EventKind.CLICK),
        ("dropped", {"reason": "Bounced Address"}, EventKind.DROPPED),
        ("bounce", {"type": "bounce"}, EventKind.BOUNCE),
        ("bounce", {"type": "blocked"}, EventKind.BLOCKED),
        ("bounce", {}, EventKind.BOUNCE),
        ("spamreport", {}, EventKind.COMPLAINT),
        ("unsubscribe", {}, EventKind.UNSUBSCRIBE),
        ("group_unsubscribe", {"asm_group_id": 1}, EventKind.UNSUBSCRIBE),
        ("group_resubscribe", {}, EventKind.OTHER),
        ("account_status_change", {"type": "suspended"}, EventKind.OTHER),
        ("a_new_kind", {"new_field": [1]}, EventKind.OTHER),
    ],
)
def test_each_event_type_has_a_word_of_ours(
    word: str, more: dict[str, Any], kind: EventKind
) -> None:
    assert one(element(word, **more)).kind is kind


def test_an_unknown_type_keeps_its_name_as_reason() -> None:
    assert one(element("a_new_kind")).reason == "a_new_kind"


@pytest.mark.parametrize("shape", ["array", "lines", "object"])
def test_array_lines_and_a_single_object_are_read(shape: str) -> None:
    raws = [element(sg_event_id="1"), element(sg_event_id="2")]
    body = {
        "array": json.dumps(raws),
        "lines": "\n".join(map(json.dumps, raws)) + "\n",
        "object": json.dumps(raws[0]),
    }[shape]
    assert [seen.event_id for seen in parse_sendgrid(body.encode()).received] == (
        ["1"] if shape == "object" else ["1", "2"]
    )


@pytest.mark.parametrize("category", ["news", ["news", "ro"]])
def test_a_category_may_be_text_or_list(category: object) -> None:
    assert one(element(category=category)).kind is EventKind.DELIVERED


def test_the_key_comes_from_the_argument_else_from_smtp_id() -> None:
    assert one(element(send_key=KEY)).send_key == KEY
    assert one(element(**{"smtp-id": f"<{KEY}@mail.example.ro>"})).send_key == KEY
    assert one(element(**{"smtp-id": "<other@mail.example.ro>"})).send_key == ""


def test_the_first_part_of_sg_message_id_is_the_provider_id() -> None:
    event = one(element(sg_message_id="14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0"))
    assert event.provider_message_id == "14c5d75ce93"


def test_without_an_id_the_canonical_event_is_hashed() -> None:
    raw = element()
    del raw["sg_event_id"]
    again = dict(reversed(raw.items()))
    assert one(raw).id == one(again).id
    assert one(raw).id.startswith("sha256:")
    assert one({**raw, "timestamp": 1_772_452_801}).id != one(raw).id


@pytest.mark.parametrize(
    "bad",
    [
        '{"event":"open","timestamp":NaN}',
        '{"event":"open","timestamp":1e999}',
        '{"event":"open","timestamp":' + "9" * 5000 + "}",
        '{"event":"open","x":' + "[" * 100_000 + "]" * 100_000 + "}",
        '{"event":"open","timestamp":1772452800,"timestamp":1772452801}',
        '{"event":"open","timestamp":-5}',
        '{"event":"open","timestamp":1e20}',
        '{"event":"open","timestamp":true}',
        '{"event":"open"}',
        '{"timestamp":1772452800}',
        '{"event" "open"}',
        "[1]",
        '"text"',
        "null",
        "17",
    ],
)
def test_one_bad_element_spoils_only_itself(bad: str) -> None:
    good = [json.dumps(element(sg_event_id=str(n))) for n in range(4)]
    body = "[" + ",".join([*good[:2], bad, *good[2:]]) + "]"
    received, errors = parse_sendgrid(body.encode()).read()
    assert [item.event.id for item in received] == ["0", "1", "2", "3"]
    assert [error.position for error in errors] == [2]


def test_a_key_twice_with_the_same_value_is_no_flaw() -> None:
    body = b'{"event":"open","event":"open","timestamp":1772452800}'
    assert len(parse_sendgrid(body).received) == 1


@pytest.mark.parametrize("body", [b"", b"  \n", b"<html>", b"\xff\xfe\x00", b"email,event\na,b"])
def test_a_body_that_is_no_json_gives_errors_and_no_events(body: bytes) -> None:
    parsed = parse_sendgrid(body)
    assert not parsed.received
    assert parsed.errors


def test_an_empty_array_is_neither_event_nor_error() -> None:
    parsed = parse_sendgrid(b"[]")
    assert not parsed.received
    assert not parsed.errors


def test_broken_text_is_mended_so_that_every_database_takes_it() -> None:
    event = one(element("click", useragent="a\x00b\ud800c"))
    assert "\x00" not in event.user_agent
    event.user_agent.encode("utf-8")


def test_a_hostile_body_is_read_in_linear_time() -> None:
    started = time.monotonic()
    parse_sendgrid(b'["' + b'\\"' * 500_000)
    assert time.monotonic() - started < 5


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.sampled_from(["event", "timestamp", "sg_event_id", "email", "url", "type", "smtp-id"])


@given(st.lists(JSON | st.dictionaries(FIELDS, JSON | st.just("open")), max_size=6))
def test_every_element_becomes_an_event_or_an_error(raws: list[Any]) -> None:
    received, errors = parse_sendgrid(json.dumps(raws).encode()).read()
    assert len(received) + len(errors) == len(raws)


@given(st.binary(max_size=200))
def test_bytes_at_random_are_errors_and_never_raise(body: bytes) -> None:
    parsed = parse_sendgrid(b"x" + body)
    assert not parsed.received
    assert parsed.errors


@pytest.mark.parametrize(
    ("word", "more", "reason"),
    [
        ("dropped", {"reason": "Bounced Address"}, SuppressionReason.BOUNCE),
        ("dropped", {"reason": "Unsubscribed Address"}, SuppressionReason.UNSUBSCRIBE),
        ("dropped", {"reason": "Spam Reporting Address"}, SuppressionReason.COMPLAINT),
        ("dropped", {"reason": "Invalid"}, SuppressionReason.BOUNCE),
        ("dropped", {"reason": "Spam Content (if spam checker app is enabled)"}, None),
        ("dropped", {"reason": "Invalid SMTPAPI header"}, None),
        ("dropped", {"reason": "Recipient List over Package Quota"}, None),
        ("bounce", {"type": "bounce"}, SuppressionReason.BOUNCE),
        ("bounce", {"type": "blocked"}, None),
        ("deferred", {}, None),
        ("group_resubscribe", {}, None),
        ("spamreport", {}, SuppressionReason.COMPLAINT),
        ("group_unsubscribe", {}, SuppressionReason.UNSUBSCRIBE),
    ],
)
def test_only_what_speaks_of_the_person_or_address_suppresses(
    word: str, more: dict[str, Any], reason: SuppressionReason | None
) -> None:
    event = one(element(word, **more))
    assert suppression(event) is reason
    assert withdraws_consent(event) is (
        reason in (SuppressionReason.UNSUBSCRIBE, SuppressionReason.COMPLAINT)
    )


def event(kind: EventKind, seconds: float = 3600, **more: Any) -> Event:
    values = {
        "id": f"{kind}{seconds}{more.get('url', '')}",
        "user_agent": "Mozilla/5.0 (X11) Gecko",
    }
    return Event(
        source="sendgrid", kind=kind, at=NOON + timedelta(seconds=seconds), **values | more
    )


SOME = [
    event(EventKind.PROCESSED, 0),
    event(EventKind.DELIVERED, 1),
    event(EventKind.OPEN, 100),
    event(EventKind.CLICK, 200, url="https://a.ro/1"),
    event(EventKind.CLICK, 203, url="https://a.ro/2"),
    event(EventKind.BOUNCE, 300),
    event(EventKind.UNSUBSCRIBE, 400),
    event(EventKind.COMPLAINT, 500),
    event(EventKind.OTHER, 600),
]


@given(st.lists(st.sampled_from(SOME), unique_by=lambda e: e.id), st.randoms(use_true_random=False))
def test_any_order_of_the_same_events_gives_the_same_judgement(events: Any, random: Any) -> None:
    shuffled = list(events)
    random.shuffle(shuffled)
    assert status(judged(events)) is status(judged(shuffled))
    assert {e.id: e.human for e in judged(events)} == {e.id: e.human for e in judged(shuffled)}


def test_a_stronger_event_wins_whatever_comes_first() -> None:
    order = [
        EventKind.PROCESSED,
        EventKind.DELIVERED,
        EventKind.OPEN,
        EventKind.CLICK,
        EventKind.BOUNCE,
        EventKind.UNSUBSCRIBE,
        EventKind.COMPLAINT,
    ]
    for weak, strong in itertools.pairwise(order):
        assert status([event(strong), event(weak)]) is strong
    assert status([]) is None


def human(*events: Event) -> float:
    """The probability of the last event given."""
    return judged([event(EventKind.DELIVERED, 0), *events])[-1].human


def test_an_ordinary_click_hours_later_is_a_persons() -> None:
    assert human(event(EventKind.CLICK, 7200)) > 0.7


@pytest.mark.parametrize(
    "suspect",
    [
        event(EventKind.CLICK, 2),
        event(EventKind.CLICK, 8),
        event(EventKind.CLICK, 7200, user_agent="Mozilla/5.0 HeadlessChrome/120"),
        event(EventKind.CLICK, 7200, user_agent="Barracuda Sentinel (EE)"),
        event(EventKind.CLICK, 7200, user_agent=""),
        event(EventKind.OPEN, 7200, reason="declared machine open"),
        event(EventKind.OPEN, 7200, user_agent="Mozilla/5.0"),
        event(EventKind.OPEN, 1),
    ],
)
def test_machines_are_seen_through(suspect: Event) -> None:
    assert human(suspect) < 0.5


def test_clicks_on_all_links_at_once_are_a_machines() -> None:
    first = event(EventKind.CLICK, 7200, url="https://a.ro/1")
    second = event(EventKind.CLICK, 7201, url="https://a.ro/2")
    assert human(first, second) < 0.5
    assert human(first, replace(second, at=NOON + timedelta(hours=5))) > 0.5


def test_gmails_proxy_stands_for_a_person() -> None:
    agent = (
        "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
    )
    assert human(event(EventKind.OPEN, 7200, user_agent=agent)) > 0.5


def test_a_machines_open_proves_delivery_only() -> None:
    machine = event(EventKind.OPEN, 50, reason="declared machine open")
    assert status(judged([machine])) is EventKind.DELIVERED
