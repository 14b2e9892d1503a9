from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from feedback.rewards import DelayCurve, fit_delay, half_life_curve, outcomes, reward
from pigeonry.domain import Event, EventKind, Outcomes, SentMessage

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
SENT = SentMessage(1, 7, 3, 2, "ro", "A", "subject/benefit", "0" * 16, 0.45, 1, NOON)


def event(kind: EventKind, hours: float = 1, human: float = 1.0) -> Event:
    return Event(f"{kind}{hours}", "sendgrid", kind, NOON + timedelta(hours=hours), human=human)


def outcome(*events: Event) -> Outcomes:
    return outcomes([SENT], {1: events})[0]


def test_a_machines_click_proves_delivery_and_earns_nothing() -> None:
    machine = outcome(event(EventKind.CLICK, human=0.1), event(EventKind.OPEN, human=0.2))
    assert machine.delivered
    assert not machine.clicked
    assert not machine.opened
    assert reward(machine) == 0


def test_the_first_click_of_a_person_counts_once() -> None:
    clicked = outcome(
        event(EventKind.CLICK, 0.1, human=0.1), event(EventKind.CLICK, 5), event(EventKind.CLICK, 3)
    )
    assert clicked.first_click_at == NOON + timedelta(hours=3)
    assert clicked.opened
    assert reward(clicked) == 1


def test_an_unsubscribe_and_a_complaint_cost_more_than_a_click_earns() -> None:
    assert reward(outcome(event(EventKind.CLICK), event(EventKind.UNSUBSCRIBE))) < 0
    assert reward(outcome(event(EventKind.COMPLAINT))) < reward(
        outcome(event(EventKind.UNSUBSCRIBE))
    )


def test_half_of_the_clicks_are_in_at_the_half_life() -> None:
    curve = half_life_curve(24)
    assert curve.share(24) == pytest.approx(0.5)
    assert curve.share(0) == 0
    assert curve.share(-3) == 0
    assert half_life_curve(0).share(0) == 1


def test_the_delay_curve_is_recovered_from_truncated_delays() -> None:
    rng = np.random.default_rng(5)
    seen: list[Any] = []
    for _ in range(3000):
        age = rng.uniform(2, 40)
        delay = 12 * rng.weibull(0.8)
        sent = NOON - timedelta(hours=age)
        if delay <= age:
            click = event(EventKind.CLICK)
            message = SentMessage(1, 7, 3, 2, "ro", "A", "p", "v", 0.5, 1, sent)
            at = sent + timedelta(hours=delay)
            click = Event("x", "s", EventKind.CLICK, at)
            seen += outcomes([message], {1: [click]})
    curve = fit_delay(seen, NOON, half_life_curve(24))
    assert curve.scale == pytest.approx(12, rel=0.25)
    assert curve.shape == pytest.approx(0.8, rel=0.15)


def test_few_clicks_leave_the_assumed_curve() -> None:
    assert fit_delay([outcome(event(EventKind.CLICK))], NOON, half_life_curve(24)) == DelayCurve(
        24 / math.log(2)
    )
