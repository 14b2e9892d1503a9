"""What a model proposes is refused for every fault that can be told without a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from generation.brief import read_brief
from generation.checks import Held, Proposal, check_copy, check_proposal
from generation.library import load_library, write
from pigeonry.domain import Copy, Language, Limits

BRIEF = read_brief(Path("examples/briefs/first-campaign.toml"))
GOOD = Proposal(
    "Zilio: a weekly planner for the phone", "See how Zilio helps with clients and invoices."
)


def checks(subject: str = GOOD.subject, preheader: str = GOOD.preheader, **kw: object) -> set[str]:
    found = check_proposal(Proposal(subject, preheader), BRIEF, Language.EN, **kw)  # type: ignore[arg-type]
    return {violation.check for violation in found}


def test_an_honest_proposal_passes() -> None:
    assert check_proposal(GOOD, BRIEF, Language.EN) == ()
    ro = Proposal("Un plan limpede pentru zile calme", "Zilio ține la un loc clienți și facturi.")
    assert check_proposal(ro, BRIEF, Language.RO) == ()


@pytest.mark.parametrize(
    ("subject", "check"),
    [
        ("", "empty"),
        ("???", "empty"),
        ("Zilio", "empty"),
        ("A clear plan for the week with clients and invoices in order now", "length"),
        ("A clear plan for the week with clients and invoices in a day", "cut"),
        ("Plan the week with 30% off", "claim:percent"),
        ("Plan the week for 99 lei", "claim:money"),
        ("Plan your week by Friday", "claim:deadline"),
        ("A clear plan until 24 December", "claim:date"),
        ("The best plan for the week", "claim:superlative"),
        ("A free plan for the week", "claim:free"),
        ("A plan for the week, guaranteed", "claim:guarantee"),
        ("Hurry, plan the week with Zilio", "claim:scarcity"),
        ("A clearer plan than Trello", "claim:comparison"),
        ("Your week, planned at https://evil.example", "claim:link"),
        ("Plan the week with Trello", "claim:name"),
        ("Un plan limpede pentru toată lumea", "language"),
        ("Ein Plan für die Woche und die Kinder", "language"),
        ("A clear plan for {{ lead.name }}", "placeholder"),
        ("A clear plan for [Name]", "placeholder"),
        ("<b>A clear plan</b> for the week", "placeholder"),
        ("A clear plan for the week 🎉", "emoji"),
        ("A CLEAR plan for the week", "capitals"),
        ("A clear plan for the week!", "punctuation"),
        ("A clear plan, a clear week", "repetition"),
        ("Zilio: a plan for the week with Zilio", "repetition"),
        ("A lovely garden for the roses", "overlap"),
        ("A clear plan for the week with", "unfinished"),
        ("Zilio: a the weekly planner", "grammar"),
        ("A revolutionary planner for the week", "banned"),
        ("Unlock your weekly planner", "spam"),
        ("A weekly planner for the unemployed", "sensitive"),
    ],
)
def test_a_faulty_subject_is_refused_for_its_fault(subject: str, check: str) -> None:
    assert check in checks(subject)


def test_a_subject_that_copies_the_prompt_is_refused() -> None:
    assert "prompt-copy" in checks("Say plainly what the planner is", prompt_text="Please say plainly what this mail is. say plainly what the planner does")  # fmt: skip


def test_a_word_outside_the_closed_vocabulary_is_refused() -> None:
    assert "invented" in checks(
        "Zilio: a weekly planner without surgery",
        held=Held(frozenset({"planner"}), frozenset(), frozenset()),
    )


def test_a_subject_like_its_sibling_s_is_refused() -> None:
    sibling = Copy("Zilio: a weekly planner for your phone", "x", "x", ("x",), "x")
    assert "sibling" in checks(siblings=[sibling])


@pytest.mark.parametrize(
    "text", ["Ordine între clienţi şi facturi", "Ordine intre clienti si facturi"]
)
def test_romanian_without_its_letters_is_refused(text: str) -> None:
    found = check_proposal(Proposal(text, "Zilio ține la un loc planul."), BRIEF, Language.RO)
    assert "diacritics" in {violation.check for violation in found}


MAIL = write(load_library(), BRIEF, Language.EN, "direct").copy


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"subject": "x" * 61}, "length"),
        ({"hook": "Take it for 12 lei."}, "claim:money"),
        ({"body": ("Read {conditions}.",)}, "placeholder"),
        ({"body": ()}, "empty"),
        ({"body": ("One text.", "One text.")}, "repetition"),
        ({"cta": "Act now"}, "spam"),
        ({"preheader": MAIL.subject}, "repetition"),
        ({"hook": "Everyone has 20% off."}, "claim:condition"),
    ],
)
def test_finished_copy_is_held_to_the_same_facts(change: dict[str, object], check: str) -> None:
    found = check_copy(replace(MAIL, **change), BRIEF, Language.EN)  # type: ignore[arg-type]
    assert check in {violation.check for violation in found}


def test_a_required_word_has_to_be_somewhere() -> None:
    brief = replace(BRIEF, limits=Limits(required=("browser",)))
    assert "required" in {v.check for v in check_copy(MAIL, brief, Language.EN)}
