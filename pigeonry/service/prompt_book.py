"""Prompt files and their versions as people look at them: what is believed of each, what its proposals cost,
and how two differ."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pigeonry.domain import Interval, Posterior
from pigeonry.errors import NotFound
from pigeonry.service.outcomes import credible
from pigeonry.store import posteriors, prompt_ledger, segments
from pigeonry.store.prompt_ledger import Proposals
from pigeonry.store.session import Database, Session


@dataclass(frozen=True, slots=True)
class Believed:
    """What is believed of a text's click rate in a segment ("" = all together)."""

    segment_id: int
    segment: str
    sends: int
    clicks: int
    rate: Interval


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """`current`: the text that the file has now. `acceptance` and `cost_each` (millionths of `currency` for
    a text that was taken) are None before a model proposed anything with it."""

    name: str
    version: str
    source: str
    current: bool
    overall: Believed | None
    segments: tuple[Believed, ...]
    proposals: int
    acceptance: float | None
    cost_each: float | None
    currency: str


@dataclass(frozen=True, slots=True)
class PromptName:
    """A prompt file with its versions, the current one first."""

    name: str
    versions: tuple[PromptVersion, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a comparison. `kind`: "same", "gone" (only in the first), "new" (only in the second), "left
    out" (in place of lines that are the same)."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two versions; `lines` leave out long stretches that are the same (`skipped` counts their lines)."""

    first: PromptVersion
    second: PromptVersion
    lines: tuple[Line, ...]
    skipped: int
    segments: tuple[tuple[str, Believed | None, Believed | None], ...]


def prompt_book(db: Database) -> tuple[PromptName, ...]:
    """Every prompt, by name: the files' texts and all that were ever used."""
    found: dict[str, list[PromptVersion]] = {}
    with db.read() as session:
        for prompt in _versions(session):
            found.setdefault(prompt.name, []).append(prompt)
    return tuple(
        PromptName(name, tuple(sorted(versions, key=lambda one: not one.current)))
        for name, versions in sorted(found.items())
    )


def prompt_version(db: Database, version: str) -> PromptVersion:
    """Raises NotFound."""
    with db.read() as session:
        return _named(_versions(session), version)


def compare(db: Database, first: str, second: str) -> Comparison:
    """Raises NotFound for an unknown version."""
    with db.read() as session:
        known = _versions(session)
    a, b = _named(known, first), _named(known, second)
    lines, skipped = _lines(a.source, b.source)
    there = {one.segment: one for one in a.segments}
    also = {one.segment: one for one in b.segments}
    return Comparison(
        a, b, lines, skipped,
        tuple(
            (name, there.get(name), also.get(name)) for name in dict.fromkeys([*there, *also])
        ),
    )  # fmt: skip


def _versions(session: Session) -> list[PromptVersion]:
    from generation.prompts import load_prompts

    files = {prompt.version: prompt for prompt in load_prompts()}
    texts = {prompt.version: (prompt.name, prompt.source) for prompt in files.values()}
    texts |= {one.version: (one.name, one.source) for one in prompt_ledger.stored(session)}
    asked = prompt_ledger.by_version(session)
    names = {segment.id: segment.name for segment in segments.every(session)}
    beliefs: dict[tuple[str, str], list[Posterior]] = {}
    for belief in posteriors.every(session):
        if belief.prompt and belief.sends:
            beliefs.setdefault((belief.prompt, belief.prompt_version), []).append(belief)
    return [
        _version(
            name, version, source, version in files, beliefs.get((name, version), []), names,
            asked.get((name, version)),
        )
        for version, (name, source) in texts.items()
    ]  # fmt: skip


def _version(
    name: str,
    version: str,
    source: str,
    current: bool,
    beliefs: Sequence[Posterior],
    names: Mapping[int, str],
    asked: Proposals | None,
) -> PromptVersion:
    believed = [
        Believed(b.segment_id, names.get(b.segment_id, ""), b.sends, b.clicks, credible(b))
        for b in beliefs
    ]
    places = list(names)
    proposals = asked.accepted + asked.refused if asked else 0
    return PromptVersion(
        name=name,
        version=version,
        source=source,
        current=current,
        overall=next((one for one in believed if not one.segment_id), None),
        segments=tuple(
            sorted(
                (one for one in believed if one.segment_id in names),
                key=lambda one: places.index(one.segment_id),
            )
        ),
        proposals=proposals,
        acceptance=asked.accepted / proposals if asked and proposals else None,
        cost_each=asked.cost_micros / asked.accepted if asked and asked.accepted else None,
        currency=asked.currency if asked else "",
    )


def _named(known: Sequence[PromptVersion], version: str) -> PromptVersion:
    found = next((one for one in known if one.version == version), None)
    if found is None:
        raise NotFound(
            "no such prompt version", where=f"prompt {version[:40]}", fix="the list shows them all"
        )
    return found


def _lines(first: str, second: str) -> tuple[tuple[Line, ...], int]:
    old, new = first.splitlines(), second.splitlines()
    found: list[Line] = []
    shown = 0
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(3):
        if group[0][1] > 0:
            found.append(Line("left out", "…"))
        for tag, a1, a2, b1, b2 in group:
            if tag == "equal":
                found += [Line("same", text) for text in old[a1:a2]]
                shown += a2 - a1
                continue
            found += [Line("gone", text) for text in old[a1:a2]]
            found += [Line("new", text) for text in new[b1:b2]]
            shown += a2 - a1
    return tuple(found), len(old) - shown
