"""The last thing that was learned, as facts that a page can say in any language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pigeonry.domain import Interval, Posterior
from pigeonry.store import posteriors, segments, summaries
from pigeonry.store.session import Session
from scoring.evaluate import rate_interval

_SHOWN = 3
# What learning looks at for drift, in its words.
_KINDS = {
    "bounces": "bounces",
    "human clicks for each mail": "clicks",
    "acceptance of models' proposals": "acceptance",
}


@dataclass(frozen=True, slots=True)
class Shift:
    """Something that drifted: a share before and now. `kind`: bounces, clicks, acceptance, other."""

    kind: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Favourite:
    """The prompt that is believed to be the best in a segment ("" = all), its rate, and the next one's."""

    segment: str
    prompt: str
    rate: float
    next_rate: float | None


@dataclass(frozen=True, slots=True)
class Learned:
    """`click_rate` is of all mails so far, with an interval that holds at every look."""

    at: datetime | None
    sends: int
    clicks: int
    click_rate: Interval
    best: tuple[Favourite, ...]
    shifts: tuple[Shift, ...]


def last_learned(session: Session) -> Learned | None:
    """None before anything was learned."""
    known = posteriors.every(session)
    overall = next((b for b in known if not b.prompt and not b.segment_id), None)
    if overall is None or not overall.sends:
        return None
    names = {segment.id: segment.name for segment in segments.every(session)}
    kept = summaries.get(session, summaries.LEARNED)
    return Learned(
        at=overall.updated_at,
        sends=overall.sends,
        clicks=overall.clicks,
        click_rate=rate_interval(overall.clicks, overall.sends),
        best=_best(known, names),
        shifts=_shifts(kept.facts if kept else {}),
    )


def _best(known: Sequence[Posterior], names: Mapping[int, str]) -> tuple[Favourite, ...]:
    """For all segments together, then for the largest ones where another prompt leads."""
    found: list[Favourite] = []
    for segment_id, name in ((0, ""), *names.items()):
        ranked = sorted(
            (b for b in known if b.prompt and b.segment_id == segment_id and b.sends),
            key=lambda b: -b.mean,
        )
        if not ranked:
            continue
        lead = Favourite(
            name, ranked[0].prompt, ranked[0].mean, ranked[1].mean if ranked[1:] else None
        )
        if not found or lead.prompt != found[0].prompt:
            found.append(lead)
    return tuple(found[: _SHOWN + 1])


def _shifts(facts: Mapping[str, Any]) -> tuple[Shift, ...]:
    return tuple(
        Shift(_KINDS.get(row["what"], "other"), float(row["before"]), float(row["after"]))
        for row in facts.get("drift", [])
    )
