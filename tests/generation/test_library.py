"""The copy library writes whole mails from any fitting brief, and keeps its own rules."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generation import library
from generation.brief import read_brief
from generation.checks import check_copy
from generation.library import load_library, order_benefits, slots_of, write
from generation.library_check import check_library
from pigeonry.domain import Address, Brief, Language, Limits, Purpose

BRIEFS = [read_brief(path) for path in sorted(Path("examples/briefs").glob("*.toml"))]
LIBRARY = load_library()


def for_purpose(brief: Brief, purpose: Purpose, address: Address) -> Brief:
    wording = {
        language: replace(words, place="Cluj-Napoca") for language, words in brief.wording.items()
    }
    day = brief.event_date or date(2026, 12, 18)
    return replace(brief, purpose=purpose, address=address, wording=wording, event_date=day)


def test_the_packaged_library_keeps_every_rule() -> None:
    assert check_library() == ()


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("address", list(Address))
def test_every_purpose_is_written_in_both_languages_and_passes_every_check(
    purpose: Purpose, address: Address
) -> None:
    for brief in BRIEFS[:2]:
        wanted = for_purpose(brief, purpose, address)
        for language in wanted.languages:
            for turn, angle in enumerate(library.ANGLES):
                written = write(LIBRARY, wanted, language, angle, turn=turn)
                assert check_copy(written.copy, wanted, language) == ()
                assert written.template.startswith(f"{language}/{purpose}/")


@settings(max_examples=40, deadline=None)
@given(
    words=st.lists(st.sampled_from(["calm", "clear", "steady", "evening", "kitchen", "garden", "light", "table"]),
                   min_size=2, max_size=3, unique=True),
    product=st.sampled_from(["Tealight", "Old Oak", "Maro"]),
    purpose=st.sampled_from(list(Purpose)),
    bare=st.booleans(),
)  # fmt: skip
def test_other_briefs_are_written_too(
    words: list[str], product: str, purpose: Purpose, bare: bool
) -> None:
    brief = for_purpose(BRIEFS[1], purpose, Address.INFORMAL)
    wording = replace(
        brief.wording[Language.EN], product=product, benefits=(f"a {' '.join(words)}",), facts=(),
        conditions="" if bare else "for orders of this week", audience="" if bare else "cooks",
    )  # fmt: skip
    brief = replace(brief, wording={Language.EN: wording}, languages=(Language.EN,))
    if bare:
        brief = replace(brief, price=None, code="")
    copy = write(LIBRARY, brief, Language.EN, "question").copy
    assert check_copy(copy, brief, Language.EN) == ()
    assert "{" not in str(copy)


def test_a_paragraph_whose_facts_are_missing_is_dropped() -> None:
    full = write(LIBRARY, BRIEFS[1], Language.RO, "benefit").copy
    fewer = replace(BRIEFS[1], ends=None, code="")
    assert len(write(LIBRARY, fewer, Language.RO, "benefit").copy.body) < len(full.body)


def test_a_subject_that_would_be_too_long_gives_way_to_one_that_fits() -> None:
    brief = replace(BRIEFS[1], limits=Limits(subject_max=34))
    for angle in library.ANGLES:
        assert len(write(LIBRARY, brief, Language.EN, angle).copy.subject) <= 34


def test_arms_of_one_cell_get_different_mails_also_when_a_piece_is_missing() -> None:
    brief = replace(BRIEFS[1], address=Address.FORMAL)
    first = write(LIBRARY, brief, Language.RO, "question")
    second = write(
        LIBRARY, brief, Language.RO, "direct", avoid=[first.copy], avoid_templates=[first.template]
    )
    assert first.template != second.template
    assert first.copy.subject != second.copy.subject


def test_the_form_of_address_is_kept() -> None:
    formal = write(LIBRARY, replace(BRIEFS[1], address=Address.FORMAL), Language.RO, "direct")
    assert formal.template == "ro/offer/direct-formal"


def test_benefits_follow_a_segment_described_in_either_language() -> None:
    brief = BRIEFS[1]
    assert order_benefits(brief, "Students, exams, university")[0] == 5
    assert order_benefits(brief, "Părinți cu copii la școală")[0] == 2
    assert order_benefits(brief, "nothing of the kind") == tuple(range(7))


def test_the_company_is_named_without_its_legal_form() -> None:
    assert slots_of(BRIEFS[1], Language.EN)["company"] == "Zilio Studio"


def test_slots_in_a_brief_s_values_stay_text() -> None:
    assert (
        library.fill("Try {product}", {"product": "{benefit}", "benefit": "x"}) == "Try {benefit}"
    )


def test_a_required_word_is_said_with_the_fact_that_holds_it() -> None:
    brief = replace(BRIEFS[1], limits=Limits(required=("agendă săptămânală",)))
    copy = write(LIBRARY, replace(brief, languages=(Language.RO,)), Language.RO, "direct").copy
    assert copy.body[-1] == "Zilio este o agendă săptămânală online."


@pytest.mark.parametrize(
    ("old", "new", "check"),
    [
        ('cta = "Take the offer"', 'cta = "Use the offer"', "equal"),
        ("For you: {offer}", "Free for you: {offer}", "free"),
        ("For you: {offer}", "For you: {ofer}", "slots"),
        ("For you: {offer}", "For you: {code}", "slots"),
        ("For you: {offer}", "The best: {offer}", "superlative"),
        ("Please read this part as well", "Please read these two parts", "number"),
        ("Please read this part as well", "Hurry", "scarcity"),
        (
            "Please read this part as well",
            "Please read this part as well " + "and then " * 40,
            "length",
        ),
        ('angle = "question"', 'angle = "ask"', "missing"),
        ("Put the kettle on", "PUT the kettle on", "capitals"),
        ('hook = "Choose', 'hok = "Choose', "format"),
    ],
)
def test_a_broken_rule_is_found(tmp_path: Path, old: str, new: str, check: str) -> None:
    shutil.copytree(library.folder(), tmp_path, dirs_exist_ok=True)
    path = tmp_path / "en" / "offer.toml"
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    assert check in {violation.check for violation in check_library(tmp_path)}
