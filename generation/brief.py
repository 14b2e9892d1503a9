"""Reads a campaign's brief from TOML and says everything that is wrong with it at once.

Knows what a purpose needs. Knows nothing of the texts that will be written from it.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

from generation.toml_reader import Problem, TomlReader
from pigeonry.domain import (
    Address,
    Brief,
    ExperimentPlan,
    Language,
    Limits,
    Purpose,
    SenderIdentity,
    Wording,
)
from pigeonry.domain.formats import CURRENCIES
from pigeonry.errors import BadInput

KEYS: dict[str, tuple[str, ...]] = {
    "": ("name", "purpose", "languages", "tone", "address", "link", "topic"),
    "sender": ("name", "email", "company", "address", "company_id", "register", "reply_to"),
    "product": ("price", "currency", "code"),
    "wording": ("product", "benefits", "facts", "offer", "conditions", "audience", "place"),
    "dates": ("starts", "ends", "event_date", "event_time"),
    "limits": ("subject_max", "preheader_max", "banned", "required"),
    "experiment": ("variants", "holdout", "test_share", "wait_hours"),
    "budget": ("cap", "currency"),
    "audience": ("countries",),
}
TONES = ("friendly", "plain", "warm", "formal", "playful")
# What a purpose cannot be written without: keys of [wording.*] and of [dates].
NEEDS: dict[Purpose, tuple[tuple[str, ...], tuple[str, ...]]] = {
    Purpose.OFFER: (("offer",), ()),
    Purpose.LAST_CALL: (("offer",), ("ends",)),
    Purpose.EVENT: (("place",), ("event_date",)),
}
LONGEST = {"product": 60, "offer": 120, "conditions": 240, "audience": 80, "place": 120}
MAX_BYTES = 256 * 1024


class BriefError(BadInput):
    """A brief that cannot be used; `problems` lists all of them."""

    code = "brief"

    def __init__(self, problems: Sequence[Problem], *, where: str) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            f"{count} in the brief: " + "; ".join(str(problem) for problem in problems),
            where=where,
            fix="correct these keys; examples/briefs shows complete briefs",
        )


def read_brief(path: Path) -> Brief:
    """Parse a file. Raises BadInput when it cannot be read as UTF-8, BriefError when it is wrong."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BadInput(
                f"larger than {MAX_BYTES // 1024} kB",
                where=str(path),
                fix="a brief is a short text",
            )
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput("not UTF-8 text", where=str(path), fix="save it as UTF-8") from error
    except OSError as error:
        raise BadInput(
            f"cannot be read: {error.strerror}", where=str(path), fix="check the path"
        ) from error
    return parse_brief(text, where=str(path))


def parse_brief(text: str, *, where: str) -> Brief:
    """Turn a brief's TOML into a Brief. Raises BriefError that names every problem by key and line."""
    try:
        data = tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise BadInput(f"not a TOML file: {error}", where=where, fix="correct that line") from error
    reader = TomlReader(data, text, KEYS)
    brief = _brief(reader, text)
    if reader.problems:
        raise BriefError(reader.problems, where=where)
    return brief


def _brief(reader: TomlReader, source: str) -> Brief:
    reader.refuse_unknown()
    purpose = reader.choice("purpose", Purpose, Purpose.NEWS, needed=True)
    languages = tuple(
        dict.fromkeys(
            reader.member("languages", name, Language)
            for name in reader.texts("languages", needed=True)
        )
    )
    wording_needs, date_needs = NEEDS.get(purpose, ((), ()))
    wording = {
        language: _wording(reader, f"wording.{language}", purpose, wording_needs)
        for language in languages
        if language is not None
    }
    for name in reader.table("wording"):
        if name in set(Language) and Language(name) not in wording:
            reader.problem(
                f"wording.{name}",
                f"languages does not list {name!r}: add it there",
                "unlisted",
                value=name,
            )
    brief = Brief(
        name=reader.text("name", needed=True, longest=120),
        purpose=purpose,
        languages=tuple(language for language in languages if language is not None),
        wording=wording,
        link=reader.link("link"),
        topic=reader.text("topic", longest=80),
        sender=_sender(reader),
        tone=reader.one_of("tone", TONES, "friendly"),
        address=reader.choice("address", Address, Address.INFORMAL),
        price=reader.price("product.price"),
        currency=reader.one_of("product.currency", tuple(CURRENCIES[Language.EN]), "RON"),
        code=reader.text("product.code", longest=24),
        starts=reader.day("dates.starts"),
        ends=reader.day("dates.ends", needed_by=purpose.value if "ends" in date_needs else None),
        event_date=reader.day(
            "dates.event_date", needed_by=purpose.value if "event_date" in date_needs else None
        ),
        event_time=reader.clock("dates.event_time"),
        limits=Limits(
            subject_max=reader.whole("limits.subject_max", 60, 20, 150),
            preheader_max=reader.whole("limits.preheader_max", 100, 30, 200),
            banned=reader.texts("limits.banned"),
            required=reader.texts("limits.required"),
        ),
        experiment=ExperimentPlan(
            variants=reader.whole("experiment.variants", 2, 1, 12),
            holdout=reader.fraction("experiment.holdout", 0.1, 0.0, 0.5),
            test_share=reader.fraction("experiment.test_share", 0.2, 0.01, 1.0),
            wait_hours=reader.fraction("experiment.wait_hours", 0.0, 0.0, 720.0),
        ),
        budget_micros=reader.money("budget.cap"),
        budget_currency=reader.one_of("budget.currency", tuple(CURRENCIES[Language.EN]), "EUR"),
        countries=tuple(reader.country(name) for name in reader.texts("audience.countries")),
        source=source,
    )
    _contradictions(reader, brief)
    return brief


def _sender(reader: TomlReader) -> SenderIdentity:
    return SenderIdentity(
        name=reader.text("sender.name", needed=True, longest=80),
        email=reader.email("sender.email", needed=True),
        company=reader.text("sender.company", needed=True, longest=80),
        address=reader.text("sender.address", needed=True, longest=200),
        company_id=reader.text("sender.company_id", longest=20),
        register=reader.text("sender.register", longest=40),
        reply_to=reader.email("sender.reply_to"),
    )


def _wording(reader: TomlReader, path: str, purpose: Purpose, needs: Sequence[str]) -> Wording:
    if not reader.table(path):
        reader.problem(
            path, "missing: each language needs its table with product and benefits", "wording"
        )
        return Wording("", ())
    single = {
        key: reader.text(
            f"{path}.{key}",
            needed=key == "product",
            needed_by=purpose.value if key in needs else None,
            longest=LONGEST[key],
        )
        for key in ("product", "offer", "conditions", "audience", "place")
    }
    benefits = reader.texts(f"{path}.benefits", needed=True, longest=90)
    for key, phrases in {**{k: (v,) for k, v in single.items()}, "benefits": benefits}.items():
        if any(phrase.endswith((".", "!", "?", ";", ",")) for phrase in phrases):
            reader.problem(
                f"{path}.{key}",
                "ends with a punctuation mark: it is put inside sentences",
                "punctuation",
            )
    return Wording(benefits=benefits, facts=reader.texts(f"{path}.facts", longest=240), **single)


def _contradictions(reader: TomlReader, brief: Brief) -> None:
    if brief.starts and brief.ends and brief.ends < brief.starts:
        _before_start(reader, "dates.ends", brief.ends, brief.starts)
    if brief.starts and brief.event_date and brief.event_date < brief.starts:
        _before_start(reader, "dates.event_date", brief.event_date, brief.starts)
    if (
        brief.purpose is Purpose.EVENT
        and brief.ends
        and brief.event_date
        and brief.ends > brief.event_date
    ):
        reader.problem(
            "dates.ends",
            f"{brief.ends} is after dates.event_date, {brief.event_date}",
            "after_event",
            value=str(brief.ends),
            other=str(brief.event_date),
        )
    if brief.event_time and not brief.event_date:
        reader.problem(
            "dates.event_time", "there is no dates.event_date that it belongs to", "no_event"
        )
    for language, words in brief.wording.items():
        phrases = (words.product, *words.benefits, *words.facts, words.offer, words.conditions)
        said = " ".join((*phrases, words.audience, words.place)).casefold()
        for banned in brief.limits.banned:
            if re.search(rf"(?<!\w){re.escape(banned.casefold())}(?!\w)", said):
                reader.problem(
                    "limits.banned",
                    f"{banned!r} is banned, but wording.{language} says it",
                    "banned_said",
                    value=banned,
                    language=language.value,
                )
        sayable = " ".join((words.product, *words.facts)).casefold()
        for required in brief.limits.required:
            if words.product and required.casefold() not in sayable:
                reader.problem(
                    "limits.required",
                    f"{required!r} is required, but neither wording.{language}.product nor a "
                    "sentence of its facts says it, so no text could",
                    "required_unsaid",
                    value=required,
                    language=language.value,
                )
        if len(words.product) > brief.limits.subject_max - 8:
            reader.problem(
                f"wording.{language}.product",
                f"{len(words.product)} characters leave no room in limits.subject_max, "
                f"{brief.limits.subject_max}",
                "no_room",
                n=len(words.product),
                limit=brief.limits.subject_max,
            )
    for banned in set(brief.limits.banned) & set(brief.limits.required):
        reader.problem(
            "limits.banned", f"{banned!r} is also in limits.required", "both", value=banned
        )


def _before_start(reader: TomlReader, path: str, day: date, starts: date) -> None:
    reader.problem(
        path,
        f"{day} is before dates.starts, {starts}",
        "before_start",
        value=str(day),
        other=str(starts),
    )
