"""A profile says what somebody is and wants, never who it is, and changes only when that changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience.profile import profile
from pigeonry.domain import Lead

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def lead(attributes: Mapping[str, str] | None = None, **fields: str) -> Lead:
    given_fields = {
        "email": "ana.popescu@example.com",
        "first_name": "Ana",
        "last_name": "Popescu",
        "company": "Popescu SRL",
        "phone": "+40 700 000 001",
        "country": "RO",
        "city": "",
        "timezone": "Europe/Bucharest",
        "external_id": "x-1",
        **fields,
    }
    return Lead(
        id=1,
        language=None,
        attributes=attributes or {},
        created_at=NOW,
        updated_at=NOW,
        **given_fields,
    )


def test_it_tells_who_somebody_is_before_what_they_want_and_where_they_live() -> None:
    found = profile(
        lead({"Interese": "facturare, tarife", "Ocupație": "designer"}, city="Cluj-Napoca")
    )
    assert found.text == "designer; facturare, tarife; Cluj-Napoca"
    assert found.terms == (
        "Ocupație: designer",
        "Interese: facturare",
        "Interese: tarife",
        "city: Cluj-Napoca",
    )


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("Nume contact", "Ana Popescu"),
        ("Referred by", "Ana Popescu"),
        ("Secondary email", "ana@firma.example"),
        ("Website", "firma.example"),
        ("About", "write to ana@firma.example"),
        ("About", "call +40 700 000 123"),
        ("Company", "Popescu SRL"),
        ("Home address", "Str. Lungă 5"),
        ("Birth date", "1990-01-02"),
        ("Notes", "met at the fair"),
    ],
)
def test_nothing_personal_enters(column: str, value: str) -> None:
    found = profile(lead({column: value}))
    assert (found.text, found.terms) == ("", ())


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("Specialization", "Select"),
        ("Industry", "N/A"),
        ("Occupation", "Other"),
        ("Lead Number", "660737"),
        ("Budget", "1.200,50 €"),
        ("Prospect", "7927b2df-8bba-4d29-b9a2-b6e0beafe620"),
        ("Last Activity", "Email Opened"),
        ("Lead Quality", "Might be"),
        ("Tags", "Ringing"),
        ("Converted", "1"),
        ("Newspaper", "No"),
        ("Essay", "very long " * 50),
    ],
)
def test_placeholders_numbers_ids_and_the_course_of_a_sale_are_left_out(
    column: str, value: str
) -> None:
    assert profile(lead({column: value})).text == ""


def test_a_yes_stands_for_its_column() -> None:
    assert profile(lead({"Wants the free guide": "Yes"})).text == "Wants the free guide"


def test_where_a_lead_came_from_is_told_only_when_nothing_else_is_known() -> None:
    assert profile(lead({"Lead Source": "Google"})).text == "Google"
    both = profile(lead({"Lead Source": "Google", "Occupation": "Student"}))
    assert both.text == "Student"
    assert "Lead Source: Google" in both.terms


def test_the_hash_follows_the_text_and_nothing_else() -> None:
    one = profile(lead({"Occupation": "Student", "Last Activity": "SMS Sent"}))
    two = profile(lead({"Last Activity": "Opened", "Occupation": "Student"}, first_name="Ion"))
    other = profile(lead({"Occupation": "Teacher"}))
    assert one.content_hash == two.content_hash != other.content_hash


@given(st.dictionaries(st.text(max_size=30), st.text(max_size=200), max_size=8))
def test_any_attributes_give_a_bounded_text(attributes: dict[str, str]) -> None:
    found = profile(lead(attributes))
    assert len(found.text) <= 700
    assert len(found.content_hash) == 64
