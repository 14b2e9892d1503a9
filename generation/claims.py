"""Traces what a text claims to the facts it may state; what cannot be traced is named.

Deterministic: numbers, prices, percentages, dates, times, deadlines, free-of-charge, guarantees,
superlatives, comparisons, scarcity, proof (awards, certificates, testimonials), links, names,
negations and dropped conditions. It reads words, not meaning: a paraphrase without any of these is
let through.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from generation import lexicon
from generation.quantities import Kind, Quantity, quantities
from generation.words import FUNCTION, content, fold, sentences, stem, stems
from pigeonry.domain import Brief, Language, Purpose
from pigeonry.domain.formats import date_text, price_text

LINK = re.compile(
    r"(?:https?://|www\.)[^\s<>\"'”»)]+|(?<![\w@.-])(?:[\w-]+\.)+(?:com|ro|eu|net|org|io|example|app|shop|co)"
    r"(?:/[^\s<>\"'”»)]*)?(?![\w-])",
    re.IGNORECASE,
)
EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+")
_CAPITAL = re.compile(r"(?<![\w-])[A-ZĂÂÎȘȚ][\w&-]*[\w]", re.UNICODE)
_NAMED_ALONE = re.compile(r"(?<!\w)[^\W\d_]+\d[\w-]*|(?<!\w)\d+[^\W\d_][\w-]*", re.UNICODE)
_PRICE_WORDS = frozenset({"cost", "price", "pric", "pret", "tarif", "fee", "rate", "rat", "plan"})
# Promises so wide that only the same words in a fact bear them out.
_WIDE = {"pe viata", "for life", "lifetime", "suta la suta", "risk-free", "risk free", "no risk"}
_UNITED = re.compile(r"\d+(?:h|g|l|m|w|kg|km|cm|ml|mp|oz|st|nd|rd|th|pm|am|min|m²)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Untraced:
    """A claim that no fact bears out. `kind` is a word of a closed list, `text` what was written."""

    kind: str
    text: str
    why: str


@dataclass(frozen=True, slots=True)
class _Fact:
    text: str
    folded: str
    stems: frozenset[str]
    quantities: tuple[Quantity, ...]
    negated: bool


def facts_of(brief: Brief, language: Language) -> tuple[str, ...]:
    """Everything a text in that language may state, one fact an item."""
    words = brief.wording[language]
    facts = [words.product, *words.benefits, *words.facts, words.audience, words.place]
    facts.append(" ".join(part for part in (words.offer, words.conditions) if part))
    facts.append(words.offer)
    if brief.price is not None:
        facts.append(f"{words.product} {price_text(brief.price, brief.currency, language)}")
    facts += [
        date_text(day, language) for day in (brief.starts, brief.ends, brief.event_date) if day
    ]
    if brief.purpose is Purpose.LAST_CALL and brief.ends:
        last = "last call" if language is Language.EN else "ultima strigare, ultimele zile"
        facts.append(f"{last}: {date_text(brief.ends, language)}")
    facts += [brief.event_time, brief.code, brief.link, brief.sender.company, brief.sender.name]
    return tuple(fact for fact in facts if fact)


def untraced(
    text: str, facts: Sequence[str], language: Language, *, told: str = ""
) -> list[Untraced]:
    """Claims of a text that the facts do not bear out; empty when all are traced.

    `told` is what the reader is told elsewhere in the same mail: conditions stated there count.
    """
    known = [_fact(fact, language) for fact in facts]
    folded = fold(text)
    found = [
        *_links(text, facts),
        *_quantities(text, known, language),
        *_names(text, known, language),
        *_lexical(folded, text, known, language),
        *_deadlines(folded, known, language),
        *_negations(text, known, language),
        *_conditions(text, told, known, language),
    ]
    return list(dict.fromkeys(found))


@lru_cache(maxsize=4096)
def _fact(text: str, language: Language) -> _Fact:
    folded = fold(text)
    return _Fact(
        text,
        folded,
        frozenset(stems(text, language)),
        tuple(quantities(text, language)),
        bool(lexicon.NEGATION[language].search(folded)),
    )


def _links(text: str, facts: Sequence[str]) -> list[Untraced]:
    allowed = " ".join(facts)
    found = []
    for match in [*LINK.finditer(text), *EMAIL.finditer(text)]:
        link = match.group().rstrip(".,;:!?")
        if not re.search(rf"{re.escape(link)}(?![\w/-])", allowed):
            found.append(Untraced("link", link, "not a link of the brief"))
    return found


def _quantities(text: str, known: Sequence[_Fact], language: Language) -> list[Untraced]:
    bare = LINK.sub(" ", EMAIL.sub(" ", text))
    found: list[Untraced] = []
    weight = _weights(known)
    for sentence in sentences(bare):
        said = quantities(sentence, language)
        near = frozenset(stems(sentence, language))
        for quantity in said:
            holders = [fact for fact in known if any(_same(quantity, q) for q in fact.quantities)]
            if not holders:
                found.append(Untraced(quantity.kind.value, quantity.text, "no fact says so"))
                continue
            if quantity.kind is Kind.COUNT and _other_noun(quantity, known):
                found.append(Untraced("number", quantity.text, f"a fact has another number of {quantity.unit}"))  # fmt: skip
                continue
            # The number is known, but does it belong to this? The fact that shares most words with
            # the sentence has to be one that holds it.
            rivals = [
                fact
                for fact in known
                if fact not in holders
                and any(
                    q.kind is quantity.kind and q.unit == quantity.unit for q in fact.quantities
                )
            ]
            own = max(_overlap(near, fact, weight) for fact in holders)
            if rivals and max(_overlap(near, fact, weight) for fact in rivals) > own + 1.0:
                values = {
                    q.value for q in said if q.kind is quantity.kind and q.unit == quantity.unit
                }
                others = {
                    q.value for fact in rivals for q in fact.quantities if q.kind is quantity.kind
                }
                if not values & others:
                    found.append(Untraced(quantity.kind.value, quantity.text, "it belongs to another fact"))  # fmt: skip
    return found


def _same(said: Quantity, fact: Quantity) -> bool:
    if abs(said.value - fact.value) > 1e-6:
        return False
    if said.kind is Kind.COUNT and fact.kind is Kind.COUNT:
        return True
    if said.kind is not fact.kind:
        # A bare number before no unit at all ("30 reducere") may stand for any.
        return said.kind is Kind.COUNT and not said.unit
    if said.kind is Kind.DATE:
        return not said.year or not fact.year or said.year == fact.year
    return said.unit == fact.unit


def _other_noun(said: Quantity, known: Sequence[_Fact]) -> bool:
    """Is the counted noun one that the facts count differently, and never so?"""
    if not said.unit:
        return False
    counted = {q.value for fact in known for q in fact.quantities if q.unit == said.unit}
    phrase = [
        q.value
        for fact in known
        for q in fact.quantities
        if q.kind is Kind.COUNT and q.value == said.value and q.unit and q.unit != said.unit
    ]
    return bool(counted) and said.value not in counted and bool(phrase)


def _weights(known: Sequence[_Fact]) -> dict[str, float]:
    """How much a shared word says about which fact is meant: little when many facts have it."""
    seen = Counter(word for fact in known for word in fact.stems)
    return {
        word: 0.2 if word in _PRICE_WORDS else 1.0 if count == 1 else 0.3
        for word, count in seen.items()
    }


def _overlap(near: frozenset[str], fact: _Fact, weight: dict[str, float]) -> float:
    return sum(weight.get(word, 0.0) for word in near & fact.stems)


def _names(text: str, known: Sequence[_Fact], language: Language) -> list[Untraced]:
    allowed = " ".join(fact.folded for fact in known)
    words = set(re.findall(r"[\w&]+", allowed))
    known_stems = {stem(word, language) for word in words}
    found = []
    bare = LINK.sub(" ", EMAIL.sub(" ", text))
    for match in _NAMED_ALONE.finditer(bare):
        token = fold(match.group())
        if token not in words and not _UNITED.match(match.group()) and not quantities(match.group(), language):  # fmt: skip
            found.append(Untraced("name", match.group(), "no fact names it"))
    common = {*lexicon.WEEKDAYS[language], *FUNCTION[language]}
    for sentence in sentences(bare):
        first = True
        for match in _CAPITAL.finditer(sentence):
            token = fold(match.group())
            starts = first and not re.search(r"\w", sentence[: match.start()])
            first = False
            after_mark = re.search(r"[:\"“„\n•–-]\s*$", sentence[: match.start()])
            pieces = re.split(r"[-&]", token)
            if (
                starts
                or after_mark
                or token in words
                or all(piece in words or stem(piece, language) in known_stems for piece in pieces)
                or token in common
                or token.rstrip("s") in common
                or (
                    quantities(f"1 {token}", language)[:1]
                    and quantities(f"1 {token}", language)[0].kind
                    in (Kind.DATE, Kind.MONEY, Kind.MEASURE)
                )
                or any(ch.isdigit() for ch in token)
            ):
                continue
            found.append(Untraced("name", match.group(), "no fact names it"))
    return found


def _lexical(folded: str, text: str, known: Sequence[_Fact], language: Language) -> list[Untraced]:
    found = []
    said = stems(text, language)
    said_quantities = quantities(text, language)
    for kind, patterns in (
        ("free", lexicon.FREE),
        ("guarantee", lexicon.GUARANTEE),
        ("superlative", lexicon.SUPERLATIVE),
        ("comparison", lexicon.COMPARISON),
        ("scarcity", lexicon.SCARCITY),
        ("proof", lexicon.PROOF),
    ):
        pattern = patterns[language]
        for match in pattern.finditer(folded):
            # "no side effects guaranteed" aside, a denied claim is no claim: "we can't guarantee".
            holders = [fact for fact in known if pattern.search(fact.folded) and not _denied(fact, pattern, language)]  # fmt: skip
            if kind in ("superlative", "proof", "comparison", "scarcity"):
                holders = [
                    fact
                    for fact in holders
                    if stems(match.group(), language) & fact.stems
                    or match.group() in fact.folded
                    or (kind == "scarcity"
                    and any(q in fact.quantities or any(_same(q, f) for f in fact.quantities)
                            for q in quantities(text, language)))
                ]  # fmt: skip
            elif match.group() in _WIDE:
                holders = [fact for fact in holders if match.group() in fact.folded]
            else:
                own = stems(match.group(), language)
                shared = said - own if kind == "guarantee" else said
                holders = [
                    fact
                    for fact in holders
                    if fact.stems & shared
                    or any(_same(q, f) for q in said_quantities for f in fact.quantities)
                ]
            if not holders:
                found.append(Untraced(kind, match.group(), "no fact says so"))
    if re.search(r"[\"“„][^\"”]{12,}[\"”]", text) and not any(
        mark in fact.text for fact in known for mark in '"“„'
    ):
        found.append(Untraced("proof", "a quotation", "no fact quotes anybody"))
    return found


def _denied(fact: _Fact, pattern: re.Pattern[str], language: Language) -> bool:
    match = pattern.search(fact.folded)
    if match is None or re.match(r"(?:fara|nu|no|without|at no|costs? )", match.group()):
        return False
    before = fact.folded[max(0, match.start() - 24) : match.start()]
    return bool(lexicon.NEGATION[language].search(before))


def _deadlines(folded: str, known: Sequence[_Fact], language: Language) -> list[Untraced]:
    allowed = " ".join(fact.folded for fact in known)
    found = []
    for match in lexicon.DEADLINE[language].finditer(folded):
        word = match[1].strip()
        if not re.search(rf"(?<!\w){re.escape(word.rstrip('s') if language is Language.EN else word)}", allowed):  # fmt: skip
            found.append(Untraced("deadline", match.group().strip(), "no fact gives that day"))
    return found


def _negations(text: str, known: Sequence[_Fact], language: Language) -> list[Untraced]:
    found = []
    for sentence in sentences(text):
        folded = fold(sentence)
        for match in lexicon.NEGATION[language].finditer(folded):
            if match.group() in (
                "not",
                "nu",
                "nici",
                "never",
                "don't",
                "doesn't",
                "won't",
                "isn't",
            ):
                continue
            phrase = re.split(r"[.,;:!?]| (?:but|and|dar|iar|si) ", folded[match.end() :])[0]
            denied = content(phrase, language)[:3]
            if not denied:
                continue
            roots = {stem(word, language) for word in denied}
            clauses = [_fact(clause, language) for fact in known for clause in re.split(r"[;.]\s", fact.text)]  # fmt: skip
            about = [clause for clause in clauses if roots & clause.stems]
            burden = lexicon.BURDENS[language].search(" ".join(denied))
            if about and not any(fact.negated for fact in about):
                strongest = max(len(roots & fact.stems) for fact in about)
                if burden or strongest >= 2:
                    found.append(Untraced("negation", f"{match.group()}{phrase}", "a fact says otherwise"))  # fmt: skip
            elif burden and not about:
                found.append(Untraced("negation", f"{match.group()}{phrase}", "no fact says so"))
    return found


def _conditions(text: str, told: str, known: Sequence[_Fact], language: Language) -> list[Untraced]:
    """A benefit that a fact grants under a condition, told without it or to everybody."""
    whole = fold(f"{text} {told}")
    all_said = stems(whole, language)
    all_quantities = quantities(whole, language)
    free = lexicon.FREE[language]
    found = []
    for sentence in sentences(text):
        folded = fold(sentence)
        said = stems(sentence, language)
        counted = quantities(sentence, language)
        universal = lexicon.UNIVERSAL[language].search(folded)
        everybody = lexicon.EVERYBODY[language].search(folded)
        for fact in known:
            condition = lexicon.CONDITION[language].search(fact.folded)
            if not condition:
                continue
            shared = any(_same(q, f) for q in counted for f in fact.quantities)
            gains = [q for q in fact.quantities if q.kind is Kind.PERCENT]
            relies = any(_same(q, gain) for q in counted for gain in gains) or (
                bool(free.search(fact.folded))
                and bool(free.search(folded))
                and bool(fact.stems & said)
            )
            reach = len(fact.stems & said) >= (1 if everybody else 2)
            if universal and (relies or reach or shared) and _PEOPLE.search(fact.folded):
                found.append(Untraced("condition", universal.group(), "a fact grants it under a condition"))  # fmt: skip
            elif relies and not _condition_told(fact, condition, all_said, all_quantities, whole, language):  # fmt: skip
                found.append(Untraced("condition", condition.group(), "its condition is left out"))
    return found


_PEOPLE = re.compile(
    r"(?<!\w)(?:new|members?|subscribers?|nonprofits?|students?|buyers?|nights|orders?|over|only|"
    r"noi|cursant\w*|abona\w*|clien\w*|student\w*|comenzi|sejur\w*|doar|numai|peste|minim\w*)(?!\w)"
)


def _condition_told(
    fact: _Fact,
    condition: re.Match[str],
    said: set[str],
    said_quantities: Sequence[Quantity],
    folded: str,
    language: Language,
) -> bool:
    numbers = [
        q
        for q in fact.quantities
        if q.kind is not Kind.PERCENT and abs(q.start - condition.start()) < 40
    ]
    if numbers:
        return any(_same(q, number) for q in said_quantities for number in numbers)
    clause = fact.folded[max(0, condition.start() - 12) :]
    roots = {stem(word, language) for word in content(clause, language)}
    bare = {word for word in re.findall(r"[^\W\d_]+", condition.group()) if word in folded.split()}
    return bool(roots & said) or bool(bare) or not roots
