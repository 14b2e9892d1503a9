"""Segments as people look at them: how large, how they answered, what they have in common, where they lie.

Reads what a refresh and the learning left; never a model, a vector or all events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from audience.traits import Trait
from pigeonry.domain import Interval
from pigeonry.domain.segment import Segment
from pigeonry.store import posteriors, segments, summaries
from pigeonry.store.session import Database, Session
from scoring.evaluate import rate_interval


@dataclass(frozen=True, slots=True)
class Response:
    """Mails and human clicks, as they were learned from last; the interval holds at every look."""

    sends: int
    clicks: int
    rate: Interval


@dataclass(frozen=True, slots=True)
class SegmentRow:
    """`share` is of all leads in segments; `response` None before anything was sent there."""

    segment: Segment
    share: float
    response: Response | None


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    segment_id: int


@dataclass(frozen=True, slots=True)
class SegmentBoard:
    """`points` are a sample of leads on a plane, as the last refresh saw them `at`."""

    rows: tuple[SegmentRow, ...]
    overall: Response | None
    points: tuple[Point, ...]
    at: datetime | None


@dataclass(frozen=True, slots=True)
class PromptThere:
    """A prompt text in this segment: what is believed of its click rate."""

    prompt: str
    version: str
    sends: int
    clicks: int
    rate: Interval


@dataclass(frozen=True, slots=True)
class SegmentDetail:
    row: SegmentRow
    retired_at: datetime | None
    overall: Response | None
    traits: tuple[Trait, ...]
    prompts: tuple[PromptThere, ...]


def segment_board(db: Database) -> SegmentBoard:
    with db.read() as session:
        rows, overall = _rows(session)
        kept = summaries.get(session, summaries.SEGMENT_MAP)
    alive = {row.segment.id for row in rows}
    return SegmentBoard(
        rows=rows,
        overall=overall,
        points=tuple(
            Point(float(x), float(y), int(segment))
            for x, y, segment in (kept.facts.get("points", ()) if kept else ())
            if int(segment) in alive
        ),
        at=kept.at if kept else None,
    )


def segment_detail(db: Database, segment_id: int) -> SegmentDetail:
    """Raises NotFound."""
    from pigeonry.service.outcomes import credible

    with db.read() as session:
        segment = segments.get(session, segment_id)
        retired = segments.retired_at(session, segment_id)
        rows, overall = _rows(session)
        kept = summaries.get(session, summaries.SEGMENT_TRAITS)
        there = [
            belief
            for belief in posteriors.every(session)
            if belief.prompt and belief.segment_id == segment_id and belief.sends
        ]
        answered = _responses(session)
    row = next((row for row in rows if row.segment.id == segment_id), None)
    return SegmentDetail(
        row=row or SegmentRow(segment, 0.0, answered.get(segment_id)),
        retired_at=retired,
        overall=overall,
        traits=tuple(
            Trait(**trait) for trait in (kept.facts.get(str(segment_id), ()) if kept else ())
        ),
        prompts=tuple(
            PromptThere(b.prompt, b.prompt_version, b.sends, b.clicks, credible(b))
            for b in sorted(there, key=lambda b: -b.mean)
        ),
    )


def _rows(session: Session) -> tuple[tuple[SegmentRow, ...], Response | None]:
    found = segments.every(session)
    answered = _responses(session)
    total = sum(segment.size for segment in found) or 1
    rows = tuple(
        SegmentRow(segment, segment.size / total, answered.get(segment.id)) for segment in found
    )
    return rows, answered.get(0)


def _responses(session: Session) -> Mapping[int, Response]:
    """By segment; 0 is everybody."""
    return {
        belief.segment_id: Response(
            belief.sends, belief.clicks, rate_interval(belief.clicks, belief.sends)
        )
        for belief in posteriors.every(session)
        if not belief.prompt and belief.sends
    }
