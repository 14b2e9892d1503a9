"""The deterministic checks: what a writer proposed, and finished copy, against brief and limits.

A check says no with a reason that a marketer reads. Nothing here asks a model.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from generation import lexicon
from generation.claims import facts_of, untraced
from generation.words import FUNCTION, content, fold, stem, stems, words
from pigeonry.domain import Brief, Copy, Language, Violation

HOOK_MAX = 160
PARAGRAPH_MAX = 400
CTA_MAX = 28
SIBLING_LIKENESS = 0.7  # share of stems that two subjects of one cell may have in common
_PLACEHOLDER = re.compile(
    r"[{}<>\[\]|\\]|%\w+%|\b(?:lorem|ipsum|xxx+|todo|tbd|undefined|none|null|nan)\b|&\w+;|__+",
    re.IGNORECASE,
)
_CEDILLA = re.compile("[şţŞŢ]")
# Romanian words that cannot be written without their marks: one of them bare is a half-marked text.
_BARE_RO = frozenset(
    {"si", "in", "isi", "iti", "imi", "ii", "cand", "fara", "daca", "dupa", "catre", "esti", "tau", "doua",
     "asa", "sau'", "pana", "inca", "intre", "astazi", "maine", "viata", "romania", "numarul", "pret", "pretul",
     "reducerea'", "ta'", "saptamana", "luna'", "ofera", "gasesti", "invata", "aici'", "tara", "dumneavoastra"}
)  # fmt: skip
# Frequent words of other languages, to tell a text that is in none of ours.
_FOREIGN = {
    "de": [
        "und",
        "der",
        "die",
        "das",
        "ist",
        "nicht",
        "mit",
        "für",
        "ein",
        "eine",
        "einen",
        "wie",
        "auch",
        "auf",
        "zu",
    ],
    "fr": [
        "le",
        "les",
        "des",
        "est",
        "une",
        "pour",
        "dans",
        "avec",
        "vous",
        "votre",
        "sur",
        "pas",
        "qui",
        "et",
    ],
    "es": [
        "el",
        "los",
        "las",
        "una",
        "para",
        "con",
        "por",
        "que",
        "del",
        "su",
        "sus",
        "como",
        "más",
        "y",
        "en",
    ],
    "nl": ["het", "een", "van", "voor", "met", "zijn", "niet", "op", "aan", "ook", "naar"],
    "pt": ["não", "uma", "para", "com", "por", "que", "do", "da", "os", "seu"],
    "it": ["il", "gli", "una", "per", "con", "che", "di", "del", "della", "non", "sono"],
}


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a model may write of a mail."""

    subject: str
    preheader: str


@dataclass(frozen=True, slots=True)
class Held:
    """How a small writer was held to form. `closed` is the vocabulary it had: words that are neither
    there nor in the brief are refused. `ours` are the words its grammar puts in, which say nothing
    about what it wrote; `readers` those that trace to the segment's description."""

    closed: frozenset[str]
    ours: frozenset[str]
    readers: frozenset[str]


def check_proposal(
    proposal: Proposal,
    brief: Brief,
    language: Language,
    *,
    siblings: Sequence[Copy] = (),
    prompt_text: str = "",
    held: Held | None = None,
) -> tuple[Violation, ...]:
    """Everything wrong with a proposal; `held` when a small writer made it."""
    subject, preheader = proposal.subject, proposal.preheader
    facts = facts_of(brief, language)
    found: list[Violation] = []
    for field, text, limit in (
        ("subject", subject, brief.limits.subject_max),
        ("preheader", preheader, brief.limits.preheader_max),
    ):
        found += _one_line(field, text, limit, brief, facts, language)
        found += _proposed(field, text, brief, language, facts, prompt_text, held)
    if stems(subject, language) and stems(subject, language) == stems(preheader, language):
        found.append(Violation("repetition", "preheader", "says the same as the subject"))
    found += _siblings(subject, siblings, language)
    return tuple(dict.fromkeys(found))


def check_copy(
    copy: Copy, brief: Brief, language: Language, *, siblings: Sequence[Copy] = ()
) -> tuple[Violation, ...]:
    """Everything wrong with a finished mail, whoever wrote it."""
    found: list[Violation] = []
    parts = [
        ("subject", copy.subject, brief.limits.subject_max),
        ("preheader", copy.preheader, brief.limits.preheader_max),
        ("hook", copy.hook, HOOK_MAX),
        *(("body", paragraph, PARAGRAPH_MAX) for paragraph in copy.body),
        ("cta", copy.cta, CTA_MAX),
    ]
    facts = facts_of(brief, language)
    for field, text, limit in parts:
        if not text.strip():
            found.append(Violation("empty", field, "there is no text"))
        if len(text) > limit:
            found.append(
                Violation("length", field, f"{len(text)} characters, the limit is {limit}")
            )
        found += _form(field, text, facts, language)
        found += _banned(field, text, brief)
        # Conditions are looked for in the whole mail below: the layout prints them under the offer.
        found += [v for v in _claims(field, text, facts, language) if v.check != "claim:condition"]
    if not copy.body:
        found.append(Violation("empty", "body", "there is no paragraph"))
    if "!" in copy.subject:
        found.append(Violation("punctuation", "subject", "an exclamation mark"))
    whole = " ".join(text for _, text, _ in parts)
    for word in brief.limits.required:
        if word.casefold() not in whole.casefold():
            found.append(Violation("required", "", f"{word!r} is nowhere in the mail"))
    if brief.wording[language].product.casefold() not in whole.casefold():
        found.append(Violation("product", "", "the product is not named"))
    if copy.preheader == copy.subject:
        found.append(Violation("repetition", "preheader", "repeats the subject"))
    if len(set(copy.body)) != len(copy.body):
        found.append(Violation("repetition", "body", "a paragraph comes twice"))
    found += _language(whole, language, facts)
    conditions = brief.wording[language].conditions
    found += [
        Violation("claim:condition", "", f"{claim.text!r}: {claim.why}")
        for claim in untraced(
            ". ".join(text for _, text, _ in parts), facts, language, told=conditions
        )
        if claim.kind == "condition"
    ]
    found += _siblings(copy.subject, siblings, language)
    return tuple(dict.fromkeys(found))


def brief_stems(brief: Brief, language: Language) -> set[str]:
    """Stems of what the brief says in that language."""
    words_ = brief.wording[language]
    text = " ".join(
        (words_.product, *words_.benefits, *words_.facts, words_.offer, words_.audience)
    )
    return stems(text, language) | {stem(word, language) for word in words(words_.product)}


def _one_line(
    field: str, text: str, limit: int, brief: Brief, facts: Sequence[str], language: Language
) -> Iterable[Violation]:
    bare = text.strip()
    if not bare or not re.search(r"[^\W\d_]{2}", bare):
        yield Violation("empty", field, "there is no text")
        return
    if len(bare) > limit:
        yield Violation("length", field, f"{len(bare)} characters, the limit is {limit}")
    elif len(bare) == limit:
        yield Violation("cut", field, "ends exactly at the limit: it was cut")
    if bare != text or "  " in text or "\n" in text:
        yield Violation("form", field, "stray spaces or line breaks")
    yield from _form(field, text, facts, language)
    yield from _banned(field, text, brief)


def _form(field: str, text: str, facts: Sequence[str], language: Language) -> Iterable[Violation]:
    if match := _PLACEHOLDER.search(text):
        yield Violation("placeholder", field, f"holds {match.group()!r}")
    if any(unicodedata.category(mark) in {"So", "Cs", "Co", "Cf", "Cc"} for mark in text):
        yield Violation("emoji", field, "an emoji, a control or an invisible character")
    if _CEDILLA.search(text):
        yield Violation("diacritics", field, "ş or ţ with a cedilla instead of a comma below")
    if language is Language.RO:
        bare = [word for word in re.findall(r"[^\W\d_]+", text.lower()) if word in _BARE_RO]
        if bare:
            yield Violation("diacritics", field, f"{bare[0]!r} lacks its marks")
    allowed = " ".join(facts)
    for word in re.findall(r"\b[A-ZĂÂÎȘȚ]{4,}\b", text):
        if word not in allowed:
            yield Violation("capitals", field, f"{word!r} in capitals")
    if match := lexicon.SPAM[language].search(fold(text)):
        yield Violation("spam", field, f"{match.group()!r} reads like spam")
    if match := lexicon.SENSITIVE[language].search(fold(text)):
        yield Violation("sensitive", field, f"{match.group()!r} may hurt a reader")
    if re.search(r"[!?]{2}|\.{4}|,,", text):
        yield Violation("punctuation", field, "a chain of punctuation marks")


def _banned(field: str, text: str, brief: Brief) -> Iterable[Violation]:
    for word in brief.limits.banned:
        if re.search(rf"(?<!\w){re.escape(fold(word))}(?!\w)", fold(text)):
            yield Violation("banned", field, f"{word!r} is banned by the brief")


def _claims(field: str, text: str, facts: Sequence[str], language: Language) -> Iterable[Violation]:
    for claim in untraced(text, facts, language):
        yield Violation(f"claim:{claim.kind}", field, f"{claim.text.strip()!r}: {claim.why}")


def _proposed(
    field: str,
    text: str,
    brief: Brief,
    language: Language,
    facts: Sequence[str],
    prompt_text: str,
    held: Held | None,
) -> Iterable[Violation]:
    """What only a model gets wrong: invented claims, copied rules, chatter, lines that trail off."""
    yield from _claims(field, text, facts, language)
    yield from _language(text, language, facts)
    if field == "subject" and "!" in text:
        yield Violation("punctuation", field, "an exclamation mark")
    product = brief.wording[language].product
    rest = re.sub(re.escape(product), " ", text, flags=re.IGNORECASE)
    if (
        re.search(re.escape(product), rest, re.IGNORECASE)
        or len(re.findall(re.escape(product), text, re.IGNORECASE)) > 1
    ):
        yield Violation("repetition", field, "names the product twice")
    meaning = [word for word in content(rest, language) if not held or word not in held.ours]
    roots = [stem(word, language) for word in meaning]
    known = brief_stems(brief, language)
    if held:
        known |= {stem(word, language) for word in held.readers}
    if not meaning:
        yield Violation("empty", field, "says nothing but the name")
        return
    if len(set(roots)) != len(roots):
        twice = next(
            word for word, root in zip(meaning, roots, strict=True) if roots.count(root) > 1
        )
        yield Violation("repetition", field, f"{twice!r} comes twice")
    traced = [word for word, root in zip(meaning, roots, strict=True) if root in known]
    if not traced or len(traced) * 2 < len(meaning):
        yield Violation("overlap", field, "says too little of what the brief says")
    if held:
        allowed = {fold(word) for word in held.closed}
        for word, root in zip(meaning, roots, strict=True):
            if word not in allowed and root not in known:
                yield Violation("invented", field, f"{word!r} is not a word of the brief")
                break
    every = words(text)
    if every and every[-1] in FUNCTION[language] and every[-1] not in fold(product).split():
        yield Violation("unfinished", field, f"ends in {every[-1]!r}")
    if language is Language.EN:
        yield from _english(field, text)
    if run := _copied(text, prompt_text, " ".join(facts)):
        yield Violation("prompt-copy", field, f"repeats the prompt: {run!r}")


_DETERMINERS = {"a", "an", "the", "your", "my", "our"}
_BEFORE_NOUN = _DETERMINERS | {"of", "with", "from", "at", "on"}


def _english(field: str, text: str) -> Iterable[Violation]:
    """The faults of very small models: articles that meet nothing, or the wrong word."""
    every = [word.lower() for word in re.findall(r"[A-Za-z']+", text)]
    for one, two in itertools.pairwise(every):
        wrong = (
            (one in _DETERMINERS and two in _DETERMINERS | {"of", "with", "from", "at", "in", "on", "and", "to", "for", "you", "is"})
            or (one in {"of", "from", "at", "and", "with", "for"} and two in {"of", "from", "at", "and", "with", "for", "in", "to"})
            or (one in {"a", "an"} and (one == "an") != (two[0] in "aeiou" and not two.startswith(("use", "uni", "eu", "one"))) and two not in {"hour", "honest", "hours"})
            or (one in {"a", "an"} and two.endswith("s") and not two.endswith(("ss", "us", "is")))
            or one == two
        )  # fmt: skip
        if wrong:
            yield Violation("grammar", field, f"{one!r} before {two!r}")
            return
    for word in ("with", "for", "of", "in"):
        if every.count(word) > 1:
            yield Violation("grammar", field, f"{word!r} comes twice")
            return


def _copied(text: str, prompt_text: str, facts: str, run: int = 4) -> str:
    """Four words in a row that stand in the prompt but not in the brief."""
    said, asked, known = words(text), " ".join(words(prompt_text)), " ".join(words(facts))
    for start in range(len(said) - run + 1):
        phrase = " ".join(said[start : start + run])
        if f" {phrase} " in f" {asked} " and f" {phrase} " not in f" {known} ":
            return phrase
    return ""


def _language(text: str, language: Language, facts: Sequence[str]) -> Iterable[Violation]:
    """Is it in the language? Counted by function words; names and words of the brief say nothing."""
    known = set(words(" ".join(facts)))
    plain = [word for word in re.findall(r"[^\W\d_]+", text.lower()) if fold(word) not in known]
    own = sum(fold(word) in FUNCTION[language] for word in plain)
    other = Language.EN if language is Language.RO else Language.RO
    shared = FUNCTION[Language.EN] & FUNCTION[Language.RO]
    rival = sum(
        fold(word) in FUNCTION[other] - shared and fold(word) not in FUNCTION[language]
        for word in plain
    )
    foreign = max(
        sum(word in names and fold(word) not in FUNCTION[language] for word in plain)
        for names in _FOREIGN.values()
    )
    strange = re.search(r"[^\W\d_]", "".join(c for c in text if ord(c) > 0x24F and c.isalpha()))
    if strange:
        yield Violation("language", "", f"{strange.group()!r} is no letter of this language")
    elif max(rival, foreign) > own or (
        language is Language.EN and re.search(r"[ăîșț]", "".join(plain))
    ):
        yield Violation("language", "", f"does not read as {'English' if language is Language.EN else 'Romanian'}")  # fmt: skip


def _siblings(subject: str, siblings: Sequence[Copy], language: Language) -> Iterable[Violation]:
    own = stems(subject, language)
    for copy in siblings:
        other = stems(copy.subject, language)
        likeness = len(own & other) / max(1, len(own | other))
        if subject.casefold() == copy.subject.casefold() or (own and likeness > SIBLING_LIKENESS):
            yield Violation("sibling", "subject", f"too close to {copy.subject!r}")
            return
