"""The copy library: reviewed mails with slots, the writer of last resort and the baseline of every
model. Fills slots with the brief's facts by plain substitution; nothing here is a template language.
"""

from __future__ import annotations

import importlib.resources
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from generation.words import stems
from pigeonry.domain import Brief, Copy, Language, Purpose
from pigeonry.domain.formats import date_text, price_text
from pigeonry.errors import WrongUse

ALWAYS = ("product", "benefit", "company")
OPTIONAL = ("benefit2", "offer", "conditions", "deadline", "price", "code", "place", "event_date",
            "event_time", "audience")  # fmt: skip
ALWAYS_BY_PURPOSE = {
    Purpose.OFFER: ("offer",),
    Purpose.LAST_CALL: ("offer", "deadline"),
    Purpose.EVENT: ("event_date", "place"),
}
ANGLES = ("benefit", "question", "direct")
SLOT = re.compile(r"\{(\w+)\}")
_LEGAL_FORM = re.compile(
    r"[\s,]+(?:s\.?\s?r\.?\s?l\.?(?:-d)?|s\.?\s?a\.?|p\.?\s?f\.?\s?a\.?|i\.?\s?i\.?|ltd\.?|inc\.?|gmbh|llc)$",
    re.IGNORECASE,
)


class LibraryError(WrongUse):
    """The copy library cannot be read, or has nothing that fits."""

    code = "copy_library"


@dataclass(frozen=True, slots=True)
class Mail:
    """One piece: a whole mail for one purpose, language, angle and form of address."""

    language: Language
    purpose: Purpose
    angle: str
    address: str  # "any", "informal", "formal"
    subject: tuple[str, ...]
    preheader: tuple[str, ...]
    hook: str
    body: tuple[str, ...]
    cta: str

    @property
    def ref(self) -> str:
        formal = "-formal" if self.address == "formal" else ""
        return f"{self.language}/{self.purpose}/{self.angle}{formal}"


@dataclass(frozen=True, slots=True)
class Library:
    mails: tuple[Mail, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """Finished copy and the piece it came from."""

    copy: Copy
    template: str


def folder() -> Path:
    """Where the packaged library lies."""
    return Path(str(importlib.resources.files("pigeonry.templates"))) / "copy"


def load_library(where: Path | None = None) -> Library:
    """Read every piece below a folder. Raises LibraryError for a file that is not one."""
    root = where or folder()
    mails: list[Mail] = []
    for path in sorted(root.rglob("*.toml")):
        try:
            mails += read_mails(tomllib.loads(path.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise LibraryError(
                f"not a file of the copy library: {error}",
                where=str(path.relative_to(root)),
                fix="run `pigeonry templates check`",
            ) from error
    return Library(tuple(mails))


def read_mails(data: Mapping[str, Any]) -> list[Mail]:
    """The mails of one parsed file. Raises KeyError or ValueError for what is missing or unknown."""
    return [
        Mail(
            language=Language(data["language"]),
            purpose=Purpose(data["purpose"]),
            angle=str(mail["angle"]),
            address=str(mail["address"]),
            subject=tuple(mail["subject"]),
            preheader=tuple(mail["preheader"]),
            hook=str(mail["hook"]),
            body=tuple(mail["body"]),
            cta=str(mail["cta"]),
        )
        for mail in data["mail"]
    ]


def slots_of(brief: Brief, language: Language, order: Sequence[int] = ()) -> dict[str, str]:
    """The values of every slot that the brief can fill; `order` puts its benefits in another order."""
    words = brief.wording[language]
    benefits = [words.benefits[i] for i in order if i < len(words.benefits)] or [*words.benefits]
    values = {
        "product": words.product,
        "benefit": benefits[0],
        "benefit2": benefits[1] if len(benefits) > 1 else "",
        "company": _LEGAL_FORM.sub("", brief.sender.company),
        "offer": words.offer,
        "conditions": words.conditions,
        "audience": words.audience,
        "place": words.place,
        "code": brief.code,
        "event_time": brief.event_time,
        "price": price_text(brief.price, brief.currency, language) if brief.price else "",
        "deadline": date_text(brief.ends, language) if brief.ends else "",
        "event_date": date_text(brief.event_date, language) if brief.event_date else "",
    }
    return {slot: value for slot, value in values.items() if value}


def order_benefits(brief: Brief, about: str) -> tuple[int, ...]:
    """Benefits by how many words they share with a segment's description, else as the brief has them.

    A benefit's words in every language count, so that a description in one language orders both.
    """
    languages = list(brief.wording)
    count = min(len(brief.wording[language].benefits) for language in languages)
    wanted = {language: stems(about, language) for language in languages}

    def shared(index: int) -> int:
        return max(
            len(wanted[language] & stems(brief.wording[language].benefits[index], language))
            for language in languages
        )

    return tuple(sorted(range(count), key=lambda index: (-shared(index), index)))


def write(
    library: Library,
    brief: Brief,
    language: Language,
    angle: str,
    *,
    order: Sequence[int] = (),
    turn: int = 0,
    avoid: Sequence[Copy] = (),
    avoid_templates: Sequence[str] = (),
) -> Written:
    """Write one whole mail.

    The piece of the wanted angle if there is one, else the nearest that fits the language, purpose
    and form of address; never one of `avoid_templates` while another fits. `turn` rotates between a
    piece's fitting subjects. Raises LibraryError when nothing fits.
    """
    slots = slots_of(brief, language, order)
    taken = {copy.subject for copy in avoid}
    for mail in _candidates(library, brief, language, angle, avoid_templates):
        subjects = _fitting(mail.subject, slots, brief.limits.subject_max)
        subjects = [subject for subject in subjects if subject not in taken]
        if not subjects:
            continue
        subject = subjects[turn % len(subjects)]
        preheaders = _fitting(mail.preheader, slots, brief.limits.preheader_max)
        preheaders = [text for text in preheaders if text != subject]
        if not preheaders:
            continue
        hook = fill(mail.hook, slots)
        body = [text for text in (fill(part, slots) for part in mail.body) if text]
        if hook is None or not body:
            continue
        copy = Copy(subject, preheaders[turn % len(preheaders)], hook, tuple(body), mail.cta)
        return Written(_with_required(copy, brief, language), mail.ref)
    raise LibraryError(
        f"the copy library has nothing for {language.value}, {brief.purpose.value}, "
        f"{brief.address.value} that fits this brief",
        where=brief.name,
        fix="shorten the product, the benefits or the offer, or raise limits.subject_max",
    )


def fill(text: str, slots: Mapping[str, str]) -> str | None:
    """Put values into slots; None when a value is missing. Values are never looked into again."""
    names = SLOT.findall(text)
    if any(name not in slots for name in names):
        return None
    return SLOT.sub(lambda match: slots[match[1]], text)


def _candidates(
    library: Library, brief: Brief, language: Language, angle: str, avoid: Sequence[str]
) -> list[Mail]:
    """Fitting pieces, best first: the wanted angle, then benefit, direct, question."""
    address = brief.address.value if language is Language.RO else "any"
    fitting = [
        mail
        for mail in library.mails
        if mail.language is language
        and mail.purpose is brief.purpose
        and mail.address in (address, "any")
    ]
    order = {"benefit": 1, "direct": 2, "question": 3, angle: 0}
    return sorted(fitting, key=lambda mail: (mail.ref in avoid, order.get(mail.angle, 9)))


def _fitting(texts: Sequence[str], slots: Mapping[str, str], longest: int) -> list[str]:
    """Filled alternatives that keep the limit, the last written first: it says more of the brief."""
    filled = [fill(text, slots) for text in reversed(texts)]
    return [text for text in filled if text is not None and len(text) <= longest]


def _with_required(copy: Copy, brief: Brief, language: Language) -> Copy:
    """Add the fact that says a required word when the mail does not say it yet."""
    for word in brief.limits.required:
        said = " ".join((copy.subject, copy.preheader, copy.hook, *copy.body)).casefold()
        if word.casefold() in said:
            continue
        for fact in brief.wording[language].facts:
            if word.casefold() in fact.casefold():
                sentence = fact if fact.endswith((".", "!", "?")) else f"{fact}."
                copy = Copy(
                    copy.subject, copy.preheader, copy.hook, (*copy.body, sentence), copy.cta
                )
                break
    return copy
