"""Holds the copy library to its own rules: slots, lengths, what it may not claim, no two alike."""

from __future__ import annotations

import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from generation import lexicon
from generation.library import (
    ALWAYS,
    ALWAYS_BY_PURPOSE,
    ANGLES,
    OPTIONAL,
    SLOT,
    Mail,
    folder,
    read_mails,
)
from generation.words import fold, sentences
from pigeonry.config import nearest
from pigeonry.domain import Language, Purpose, Violation

KEYS = ("language", "purpose", "mail")
MAIL_KEYS = ("angle", "address", "subject", "preheader", "hook", "body", "cta")
# Values as long as a brief's usually are: a text has to fit with them in.
_SAMPLE = {"product": 22, "benefit": 30, "benefit2": 30, "company": 20, "offer": 26, "conditions": 60,
           "deadline": 16, "price": 13, "code": 8, "place": 26, "event_date": 16, "event_time": 5,
           "audience": 26}  # fmt: skip
_LIMITS = {"subject": 60, "preheader": 100, "hook": 140, "body": 320, "cta": 28}
_NUMBER_WORDS = {
    Language.EN: re.compile(r"(?<!\w)(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen|twenty|thirty|hundred|hundreds|thousand|half|twice|double)(?!\w)|(?<!\w)one (?:day|hour|minute|week|month|year|step|click)s?(?!\w)"),
    Language.RO: re.compile(r"(?<!\w)(?:doi|doua|trei|patru|cinci|sase|sapte|opt|zece|douazeci|suta|sute|mie|mii|jumatate|dublu|dubla)(?!\w)|(?<!\w)(?:o singura|un singur|o) (?:zi|ora|saptamana|luna|minut)(?!\w)"),
}  # fmt: skip
_DAYS = {
    Language.EN: re.compile(r"(?<!\w)(?:today|tomorrow|tonight|this (?:week|month|weekend)|mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sundays?)(?!\w)"),
    Language.RO: re.compile(r"(?<!\w)(?:azi|astazi|maine|diseara|saptamana aceasta|luna aceasta|marti|miercuri|joi|vineri|sambata|duminica)(?!\w)"),
}  # fmt: skip
_FORMAL = re.compile(
    r"(?<!\w)(?:tu|tine|tie|iti|te|tau|ta|tale|ai|esti|vei)(?!\w)|(?<!\w)(?:ți|te)-"
)
_INFORMAL = re.compile(r"(?<!\w)(?:dumneavoastra|dvs|aveti|sunteti|puteti|veti)(?!\w)")


def check_library(where: Path | None = None) -> tuple[Violation, ...]:
    """Every broken rule of every file, for `pigeonry templates check`; `field` names file and part."""
    root = where or folder()
    found: list[Violation] = []
    mails: list[tuple[str, Mail]] = []
    for path in sorted(root.rglob("*.toml")):
        place = str(path.relative_to(root))
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
            problems = list(_shape(data, place))
            found += problems
            if not problems:
                mails += [(place, mail) for mail in read_mails(data)]
        except (ValueError, KeyError, TypeError) as error:
            found.append(Violation("format", place, str(error)))
    for place, mail in mails:
        found += _mail(place, mail)
    found += _complete([mail for _, mail in mails])
    found += _distinct(mails)
    return tuple(dict.fromkeys(found))


def _shape(data: Mapping[str, Any], place: str) -> Iterable[Violation]:
    for key in data:
        if key not in KEYS:
            yield Violation("format", place, f"unknown key {key}{nearest(key, list(KEYS))}")
    language, purpose = data.get("language"), data.get("purpose")
    if place != f"{language}/{purpose}.toml":
        yield Violation("format", place, f"says {language}/{purpose} inside")
    if language not in set(Language) or purpose not in set(Purpose):
        yield Violation("format", place, "unknown language or purpose")
    for number, mail in enumerate(data.get("mail", ()), 1):
        for key in mail:
            if key not in MAIL_KEYS:
                yield Violation("format", f"{place} mail {number}", f"unknown key {key}{nearest(key, list(MAIL_KEYS))}")  # fmt: skip
        for key in MAIL_KEYS:
            wanted = list if key in ("subject", "preheader", "body") else str
            if not isinstance(mail.get(key), wanted) or not mail[key]:
                yield Violation("format", f"{place} mail {number}", f"{key} is missing")


def _mail(place: str, mail: Mail) -> Iterable[Violation]:
    where = f"{place} {mail.angle}" + ("" if mail.address == "any" else f" {mail.address}")
    always = {*ALWAYS, *ALWAYS_BY_PURPOSE.get(mail.purpose, ())}
    if mail.angle not in ANGLES:
        yield Violation("angle", where, f"unknown angle{nearest(mail.angle, list(ANGLES))}")
    allowed = ("informal", "formal") if mail.language is Language.RO else ("any",)
    if mail.address not in allowed:
        yield Violation("address", where, f"is {mail.address!r}, may be {' or '.join(allowed)}")
    parts = [
        *(("subject", text) for text in mail.subject),
        *(("preheader", text) for text in mail.preheader),
        ("hook", mail.hook),
        *(("body", text) for text in mail.body),
        ("cta", mail.cta),
    ]
    for name in ("subject", "preheader"):
        texts = getattr(mail, name)
        if len(texts) != 2:
            yield Violation(
                "alternatives", f"{where} {name}", f"{len(texts)} of them, 2 are wanted"
            )
        if set(SLOT.findall(texts[0])) - always:
            yield Violation("slots", f"{where} {name}", "the first may use only slots that are always there")  # fmt: skip
    if not 3 <= len(mail.body) <= 4:
        yield Violation("body", where, f"{len(mail.body)} paragraphs, 3 or 4 are wanted")
    if sum(not set(SLOT.findall(text)) - always for text in mail.body) < 2:
        yield Violation("body", where, "fewer than 2 paragraphs remain when a brief is short")
    for name, text in parts:
        yield from _text(f"{where} {name}", name, text, mail, always)
    if sum(text.count("!") for _, text in parts) > 1:
        yield Violation("punctuation", where, "more than one exclamation mark")
    whole = fold(" ".join(SLOT.sub("", text) for _, text in parts))
    wrong = {"formal": _FORMAL, "informal": _INFORMAL}.get(mail.address)
    if wrong and (match := wrong.search(whole)):
        yield Violation("address", where, f"{match.group()!r} in a mail that is {mail.address}")


def _text(where: str, name: str, text: str, mail: Mail, always: set[str]) -> Iterable[Violation]:
    slots = SLOT.findall(text)
    for slot in slots:
        if slot not in (*ALWAYS, *OPTIONAL):
            yield Violation("slots", where, f"unknown slot {{{slot}}}{nearest(slot, [*ALWAYS, *OPTIONAL])}")  # fmt: skip
    rest = SLOT.sub("", text)
    if "{" in rest or "}" in rest or "<" in rest:
        yield Violation("slots", where, "braces or markup outside a slot")
    if name == "cta" and (slots or text.endswith(".") or not 1 <= len(text.split()) <= 5):
        yield Violation("cta", where, "a label of 2 to 4 words, no slot, no final stop")
    length = len(SLOT.sub(lambda match: "x" * _SAMPLE.get(match[1], 20), text))
    if length > _LIMITS[name]:
        yield Violation("length", where, f"{length} characters when filled, the limit is {_LIMITS[name]}")  # fmt: skip
    if name == "subject" and "!" in text:
        yield Violation("punctuation", where, "an exclamation mark in a subject")
    if re.match(r"\{(?!product|company)", text) and not re.match(
        r"\{(?:event_date|deadline|code|price|place)", text
    ):
        yield Violation("slots", where, "begins with a slot in lower case")
    folded = fold(rest)
    if re.search(r"\d", rest):
        yield Violation("number", where, "a digit")
    for check, pattern in (
        ("number", _NUMBER_WORDS[mail.language]),
        ("date", _DAYS[mail.language]),
        ("superlative", lexicon.SUPERLATIVE[mail.language]),
        ("guarantee", lexicon.GUARANTEE[mail.language]),
        ("free", lexicon.FREE[mail.language]),
        ("comparison", lexicon.COMPARISON[mail.language]),
        ("spam", lexicon.SPAM[mail.language]),
        ("scarcity", lexicon.SCARCITY[mail.language]),
    ):
        match = pattern.search(folded)
        last_call = mail.purpose is Purpose.LAST_CALL and "deadline" in always
        if match and not (check == "scarcity" and last_call and re.match("last|ultim", match.group())):  # fmt: skip
            yield Violation(check, where, f"{match.group()!r}")
    if re.search(r"https?:|www\.|@", rest):
        yield Violation("link", where, "a link or an address")
    if re.search(r"\b[A-ZĂÂÎȘȚ]{3,}\b", rest):
        yield Violation("capitals", where, "a word in capitals")
    if re.search("[şţŞŢ]", rest) or (mail.language is Language.EN and re.search("[ăâîșț]", rest)):
        yield Violation("diacritics", where, "letters of another alphabet")


def _complete(mails: list[Mail]) -> Iterable[Violation]:
    have = defaultdict(set)
    for mail in mails:
        have[mail.language, mail.purpose].add((mail.angle, mail.address))
    for language in Language:
        wanted = {(angle, "any") for angle in ANGLES}
        if language is Language.RO:
            wanted = {(angle, "informal") for angle in ANGLES} | {("benefit", "formal"), ("direct", "formal")}  # fmt: skip
        for purpose in Purpose:
            for angle, address in sorted(wanted - have[language, purpose]):
                yield Violation(
                    "missing", f"{language}/{purpose}.toml", f"no mail {angle}, {address}"
                )


def _distinct(mails: list[tuple[str, Mail]]) -> Iterable[Violation]:
    """No two equal sentences in a language, also without their slots; call labels at most 3 times."""
    seen: dict[tuple[Language, str], str] = {}
    labels: dict[tuple[Language, str], list[str]] = defaultdict(list)
    for place, mail in mails:
        where = f"{place} {mail.angle} {mail.address}"
        labels[mail.language, fold(mail.cta)].append(f"{mail.purpose}")
        texts = [
            *mail.subject,
            *mail.preheader,
            mail.hook,
            *(s for p in mail.body for s in sentences(p)),
        ]
        for text in texts:
            key = mail.language, re.sub(r"[^\w]+", " ", fold(SLOT.sub(" ", text))).strip()
            if not key[1]:
                continue
            if key in seen:
                yield Violation("equal", where, f"{text!r} is also in {seen[key]}")
            else:
                seen[key] = where
    for (language, label), purposes in labels.items():
        if len(purposes) > 3:
            yield Violation(
                "equal", str(language), f"the label {label!r} comes {len(purposes)} times"
            )
        for purpose, count in Counter(purposes).items():
            if count > 1:
                yield Violation(
                    "equal", f"{language}/{purpose}.toml", f"the label {label!r} comes twice"
                )
