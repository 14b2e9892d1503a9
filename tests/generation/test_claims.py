"""A text may claim what the facts say, in whatever form they are written, and nothing more."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generation.claims import untraced
from generation.quantities import Kind, parse_number, quantities
from pigeonry.domain import Language
from pigeonry.domain.formats import date_text, number_text, price_text

EN = (
    "Product: Oakline standing desk.",
    "Price: 1,299.50 lei.",
    "15% off for new customers.",
    "The offer ends on 15 December 2026.",
    "Delivery takes 3 days and costs 25 lei.",
    "Assembly is not included.",
    "5-year warranty on the frame.",
    "Details: https://oakline.example/desk",
)
RO = (
    "Produs: birou reglabil Stejaris.",
    "Preț: 1.299,50 lei.",
    "15% reducere pentru clienți noi.",
    "Oferta se încheie pe 15 decembrie 2026.",
    "Livrarea durează 3 zile și costă 25 de lei.",
    "Montajul nu este inclus.",
    "Garanție 5 ani pentru cadru.",
    "Detalii: https://stejaris.example/birou",
)

SUPPORTED = [
    ("en", "The Oakline desk costs 1299.50 RON."),
    ("en", "It arrives within three days, for twenty-five lei."),
    ("en", "New customers take fifteen percent off until 15 December."),
    ("en", "The frame carries a five-year warranty."),
    ("en", "Stand up for a while. Oakline moves with you."),
    ("en", "Have a look at https://oakline.example/desk."),
    ("en", "A desk for slow mornings and long afternoons."),
    ("en", "December 15 is when the offer ends."),
    ("ro", "Biroul Stejaris costă 1299,50 RON."),
    ("ro", "Ajunge la tine în trei zile, iar livrarea costă douăzeci și cinci de lei."),
    ("ro", "Clienții noi au cincisprezece la sută reducere până pe 15 decembrie."),
    ("ro", "Cadrul are garanție cinci ani."),
    ("ro", "Ridică-te puțin. Stejaris se ridică cu tine."),
    ("ro", "Pana pe 15.12.2026, clientii noi au 15% reducere."),
    ("ro", "Detaliile sunt pe https://stejaris.example/birou"),
    ("ro", "Un birou pentru dimineți liniștite."),
]
UNSUPPORTED = [
    ("en", "The Oakline desk costs 1,199.50 lei.", "money"),
    ("en", "It arrives within five days.", "measure"),
    ("en", "New customers get 20% off.", "percent"),
    ("en", "The offer ends on 18 December.", "date"),
    ("en", "Delivery is free of charge.", "free"),
    ("en", "Satisfaction guaranteed or we take it back.", "guarantee|scope"),
    ("en", "The best desk for your back.", "superlative"),
    ("en", "Only a few left, so hurry.", "scarcity"),
    ("en", "An award-winning desk.", "proof"),
    ("en", "Sturdier than any other desk.", "comparison"),
    ("en", "Details: https://oakline.example/chair", "link"),
    ("en", "Everyone gets 15% off.", "condition"),
    ("en", "Order by Friday.", "deadline"),
    ("en", "Loved by 4,000 offices.", "count|proof"),
    ("en", "Write to sales@oakline.example.", "link"),
    ("en", "Half off for new customers.", "percent"),
    ("ro", "Biroul Stejaris costă 1.199,50 lei.", "money"),
    ("ro", "Ajunge în cinci zile.", "measure"),
    ("ro", "Clienții noi au 20% reducere.", "percent"),
    ("ro", "Oferta se încheie pe 18 decembrie.", "date"),
    ("ro", "Livrare gratuită pentru tine.", "free"),
    ("ro", "Cel mai bun birou pentru spatele tău.", "superlative"),
    ("ro", "Grăbește-te, stocul e limitat.", "scarcity"),
    ("ro", "Un birou premiat.", "proof"),
    ("ro", "Mai solid decât orice alt birou.", "comparison"),
    ("ro", "Detalii pe https://stejaris.example/scaun", "link"),
    ("ro", "Toată lumea are 15% reducere.", "condition"),
    ("ro", "Comandă până vineri.", "deadline"),
    ("ro", "Clienții noi îl iau la jumătate de preț.", "percent"),
    ("ro", "Garanție pe viață pentru cadru.", "guarantee"),
]


def facts(language: str) -> Sequence[str]:
    return EN if language == "en" else RO


@pytest.mark.parametrize(("language", "text"), SUPPORTED)
def test_what_the_facts_say_passes(language: str, text: str) -> None:
    assert untraced(text, facts(language), Language(language)) == []


@pytest.mark.parametrize(("language", "text", "kinds"), UNSUPPORTED)
def test_what_no_fact_says_is_named(language: str, text: str, kinds: str) -> None:
    found = {claim.kind for claim in untraced(text, facts(language), Language(language))}
    assert found & set(kinds.split("|")), found


DAYS = st.dates(date(2000, 1, 1), date(2099, 12, 31))


@given(st.integers(1, 999_999), st.sampled_from([0, 25, 50, 99]), st.sampled_from(list(Language)))
def test_a_price_traces_in_every_way_it_is_written(
    whole: int, cents: int, language: Language
) -> None:
    amount = Decimal(whole) + Decimal(cents) / 100
    fact = f"{price_text(amount, 'RON', language)}"
    for written in (f"{amount} lei", f"{amount:.2f} RON", price_text(amount, "RON", language)):
        assert untraced(f"x {written} x", [fact], language) == []
    other = f"x {number_text(amount + 1, language)} lei x"
    assert untraced(other, [fact], language)


@given(DAYS, DAYS, st.sampled_from(list(Language)))
def test_a_day_traces_only_to_itself(day: date, other: date, language: Language) -> None:
    fact = [date_text(day, language)]
    assert untraced(f"x {day:%d.%m}.{day.year:04} x", fact, language) == []
    same = (day.day, day.month) == (other.day, other.month)
    assert bool(untraced(f"x {other.day} {date_text(other, language).split()[1]} x", fact, language)) != same  # fmt: skip


@given(st.text(max_size=200), st.sampled_from(list(Language)))
def test_no_text_breaks_the_tracing(text: str, language: Language) -> None:
    untraced(text, [text, "x"], language)


@pytest.mark.parametrize(
    ("text", "value"), [("1.299,50", 1299.5), ("1,299.50", 1299.5), ("1299.50", 1299.5),
                        ("1.200", 1200), ("0.5", 0.5), ("12", 12), ("1.234.567", 1234567)]
)  # fmt: skip
def test_a_number_is_read_in_either_format(text: str, value: float) -> None:
    assert parse_number(text) == value


def test_everyday_forms_are_the_same_quantities() -> None:
    half = quantities("juma' de oră", Language.RO)[0]
    assert (half.kind, half.value, half.unit) == (Kind.MEASURE, 30, "min")
    assert quantities("half past six in the evening", Language.EN)[0].value == 390
    assert quantities("un sfert din preț", Language.RO)[0].value == 25


def test_the_development_cases_are_told_apart(public_data: Path) -> None:
    """Tuned on these cases: a floor against regressions, not an estimate of what it does on others."""
    lines = (public_data / "claims" / "claims.dev.jsonl").read_text(encoding="utf-8").splitlines()
    wrong = [
        case["id"]
        for case in map(json.loads, lines)
        if (not untraced(case["text"], case["facts"], Language(case["language"])))
        != case["supported"]
    ]
    assert len(wrong) <= 2, wrong
