"""How the studio's pages say what its services found: faults of briefs, refused texts, lengths of time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from generation.brief_form import SHARES
from generation.toml_reader import Problem
from pigeonry.domain import Violation
from pigeonry.errors import PigeonryError
from pigeonry.service.studio_refusals import StudioRefused
from pigeonry.web import words
from pigeonry.web.auth import Visit

_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_STEPS = (("days", 86_400), ("hours", 3_600), ("minutes", 60))


@dataclass(frozen=True, slots=True)
class Fault:
    """A sentence about a field of the brief's form. `id` is the field's id on the page, "" for the whole."""

    id: str
    label: str
    text: str


def faults(visit: Visit, problems: Sequence[Problem]) -> list[Fault]:
    return [_fault(visit, problem) for problem in problems]


def by_field(found: Sequence[Fault]) -> dict[str, str]:
    """Field id -> everything that is wrong with it."""
    said: dict[str, list[str]] = {}
    for fault in found:
        said.setdefault(fault.id, []).append(fault.text)
    return {name: "; ".join(texts) for name, texts in said.items()}


def label(visit: Visit, path: str) -> str:
    """What a field of the brief is called; the words of a language with it."""
    parts = path.split(".")
    if parts[0] == "wording" and len(parts) == 3:
        name = visit.t(f"studio.field.wording.{parts[2]}")
        return f"{name}, {visit.t(f'studio.language.{parts[1]}')}"
    return _known(visit, f"studio.field.{path}", visit.t("studio.whole"))


def field_id(path: str) -> str:
    """Ids have no dots: they would be classes to a selector."""
    return path.replace(".", "-")


def refused(visit: Visit, error: PigeonryError) -> str:
    """A refusal in the visitor's language; one that has no sentence of its own as it was raised."""
    if isinstance(error, StudioRefused):
        known = f"studio.refused.{error.kind}"
        if known in words.sentences():
            return words.say(visit.language, known, **error.said)
    return f"{error.what}. {error.fix}" if error.fix else error.what


def violation(visit: Visit, found: Violation) -> tuple[str, str]:
    """The name of the check and why it said no."""
    name = found.check.partition(":")[0]
    name = {"claim": "claims", "cut": "length", "form": "placeholder"}.get(name, name)
    quoted = _QUOTED.search(found.detail)
    value = next((part for part in quoted.groups() if part is not None), "") if quoted else ""
    if name in ("length", "language", "layout", "other"):
        value = found.detail
    known = f"studio.why.{name}" in words.sentences()
    why = (
        words.say(visit.language, f"studio.why.{name}", value=value or found.detail)
        if known
        else found.detail
    )
    return _known(visit, f"studio.check.{name}", visit.t("studio.check.other")), why


def check(visit: Visit, name: str) -> str:
    """A finding of the preflight by its name."""
    return _known(visit, f"studio.preflight.{name}", name)


def length(visit: Visit, seconds: float) -> str:
    """About how long: in the largest unit of which there are two, else in seconds."""
    for name, size in _STEPS:
        if seconds >= 2 * size or (name == "minutes" and seconds >= size):
            return words.say(visit.language, f"studio.time.{name}", n=round(seconds / size))
    return words.say(visit.language, "studio.time.seconds", n=max(1, round(seconds)))


def writer(visit: Visit, tier: str, model: str) -> str:
    known = f"studio.writers.{tier}"
    if known in words.sentences():
        return words.say(visit.language, known)
    return visit.t("studio.writers.hosted", tier=tier, model=model or tier)


def _fault(visit: Visit, problem: Problem) -> Fault:
    path = problem.path
    if re.fullmatch(r"wording\.[a-z]+", path):
        path = f"{path}.product"
    said = dict(problem.said)
    if problem.code == "fraction" and path in SHARES:  # the form shows percent
        said = {name: f"{float(said[name]) * 100:g}" for name in ("low", "high")}
    if problem.code == "missing_by":
        said["purpose"] = visit.t(f"studio.purpose.{said['purpose']}")
    if "language" in said:
        said["lang"] = visit.t(f"studio.language.{said.pop('language')}")
    known = f"studio.problem.{problem.code}"
    text = words.say(visit.language, known, **said) if known in words.sentences() else problem.what
    return Fault(field_id(path), label(visit, path), text)


def _known(visit: Visit, key: str, instead: str) -> str:
    return words.say(visit.language, key) if key in words.sentences() else instead
