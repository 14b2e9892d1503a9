"""Conversions are read exactly, and what could mean two things is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.conversions import CURRENCIES, moment, money, parse_conversions
from feedback.events import Received

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
GOOD = {"email": "ana@example.ro", "at": "2026-03-01T10:00:00Z", "value": 10, "currency": "RON"}


def one(**more: Any) -> Received:
    [received], errors = parse_conversions(json.dumps([{**GOOD, **more}]).encode(), NOON).read()
    assert not errors
    return received


def refused(**more: Any) -> str:
    received, [error] = parse_conversions(json.dumps([{**GOOD, **more}]).encode(), NOON).read()
    assert not received
    return error.reason


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("12", 12_000_000),
        ("12.5", 12_500_000),
        ("12,50", 12_500_000),
        ("1.234,56", 1_234_560_000),
        ("1,234.56", 1_234_560_000),
        ("1 234,56", 1_234_560_000),
        ("1.234.567", 1_234_567_000_000),
        ("0.125", 125_000),
        ("-49,90", -49_900_000),
        ("0.000001", 1),
        ("12.5 lei", 12_500_000),
        ("RON 12", 12_000_000),
        ("999999999999.999999", 999_999_999_999_999_999),
    ],
)
def test_an_amount_is_read_as_people_write_it(text: str, micros: int) -> None:
    assert money(text, "RON") == (micros, "RON")


@pytest.mark.parametrize(
    "text",
    [
        "1.234",
        "12,345",
        "1.2.3",
        "1,23,456",
        "12.5.",
        "abc",
        "1e3",
        "--5",
        "12 EUR",
        "1.0000001",
        "1000000000000",
        "NaN",
        ".",
        "5 zz",
        "1.234,567,8",
    ],
)
def test_an_amount_that_may_mean_two_things_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"`value`|`currency`"):
        money(text, "RON")


@given(st.integers(-(10**15), 10**15))
def test_every_millionth_survives(micros: int) -> None:
    text = f"{Decimal(micros) / 1_000_000:.6f}"
    raw = {**GOOD, "value": text}
    [received], _ = parse_conversions(json.dumps([raw]).encode(), NOON).read()
    assert received.event.value_micros == micros
    body = json.dumps([GOOD]).replace(" 10,", f" {text},").encode()
    [received], _ = parse_conversions(body, NOON).read()
    assert received.event.value_micros == micros


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-03-01T10:00:00+02:00", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01 10:30", datetime(2026, 3, 1, 10, 30, tzinfo=UTC)),
        ("01.03.2026 10:30", datetime(2026, 3, 1, 10, 30, tzinfo=UTC)),
        ("31/12/2025", datetime(2025, 12, 31, tzinfo=UTC)),
        ("12/31/2025 23:59:59", datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)),
        (1_772_452_800, NOON),
        ("1772452800000", NOON),
    ],
)
def test_a_moment_is_read_as_systems_write_it(written: object, read: datetime) -> None:
    assert moment(written) == read


@pytest.mark.parametrize(
    "written", ["", None, "yesterday", "01/02/2026", "31.02.2026", "1990-01-01", True, 10**20, []]
)
def test_a_moment_that_is_none_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="`at`"):
        moment(written)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"email": ""}, "names nobody"),
        ({"email": "no address"}, "`email` is no address"),
        ({"send_key": "xyz"}, "`send_key`"),
        ({"at": "2026-03-09"}, "future"),
        ({"currency": ""}, "has no `currency`"),
        ({"currency": "XXX"}, "ISO 4217"),
        ({"value": True}, "no number"),
        ({"value": [1]}, "no number"),
    ],
)
def test_a_bad_element_is_refused_with_its_reason(more: dict[str, Any], reason: str) -> None:
    said = refused(**more)
    assert reason in said
    assert "ana@" not in said


def test_a_conversion_may_have_no_value() -> None:
    event = one(value=None, currency=None, name="signed up").event
    assert (event.value_micros, event.currency, event.reason) == (0, "", "signed up")


def test_the_callers_id_is_kept_and_without_one_the_statement_is_hashed() -> None:
    assert one(id="A-17").event.id == "A-17"
    assert one(id=17).event.id == "17"
    assert one().event.id == one(row=9).event.id
    assert one().event.id != one(value=11).event.id


def test_ron_and_eur_are_currencies() -> None:
    assert {"RON", "EUR", "MDL"} <= CURRENCIES
    assert all(len(code) == 3 for code in CURRENCIES)
