"""Queries about segments, who is in them, the vectors of profiles, and how leads behaved.

What a vector means and when a fit is due is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from sqlalchemy import bindparam, delete, exists, func, or_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from pigeonry.domain import EventKind, MessageState
from pigeonry.domain.segment import Behaviour, SegmentModel, Vectors
from pigeonry.domain.segment import Segment as DomainSegment
from pigeonry.errors import NotFound
from pigeonry.store.bulk import add_rows
from pigeonry.store.models import Event, Lead, LeadVector, Message, Segment, SegmentMember
from pigeonry.store.session import Session

_CHUNK = 5000  # values of one IN list; SQLite takes at most 32,766 parameters
_HUMAN = 0.5  # an open or click counts when a person is the likelier author


@dataclass(frozen=True, slots=True, eq=False)
class NewSegment:
    """A cluster to be stored. `id` is the segment whose id it keeps, or None for a new one."""

    id: int | None
    name: str
    description: str
    terms: tuple[str, ...]
    centroid: Vectors  # shape (d,); empty for the segment of leads without a profile


@dataclass(frozen=True, slots=True)
class Membership:
    lead_id: int
    segment_id: int
    similarity: float


def every(session: Session) -> tuple[DomainSegment, ...]:
    """The segments in use, largest first."""
    rows = session.scalars(
        select(Segment)
        .where(Segment.retired_at.is_(None))
        .order_by(Segment.size.desc(), Segment.id)
    )
    return tuple(_segment(row) for row in rows)


def names(session: Session) -> dict[int, str]:
    """Of every segment there ever was: those in use first, the largest before the others."""
    rows = session.execute(
        select(Segment.id, Segment.name).order_by(
            Segment.retired_at.is_not(None), Segment.size.desc(), Segment.id
        )
    )
    return dict(rows.tuples().all())


def get(session: Session, segment_id: int) -> DomainSegment:
    """A segment, retired or not. Raises NotFound."""
    row = session.get(Segment, segment_id)
    if row is None:
        raise NotFound(
            "no such segment",
            where=f"segment {segment_id}",
            fix="`pigeonry segments list` shows their numbers",
        )
    return _segment(row)


def retired_at(session: Session, segment_id: int) -> datetime | None:
    return session.scalar(select(Segment.retired_at).where(Segment.id == segment_id))


def model(session: Session) -> SegmentModel | None:
    """The centroids of the segments in use; None before the first fit, and when no lead of that fit
    had a profile. The general segment has no centroid."""
    rows = session.scalars(
        select(Segment)
        .where(Segment.retired_at.is_(None), Segment.centroid != b"")
        .order_by(Segment.id)
    ).all()
    if not rows:
        return None
    return SegmentModel(
        version=rows[0].model_version,
        embedder=rows[0].embedder,
        segment_ids=tuple(row.id for row in rows),
        centroids=np.array([np.frombuffer(row.centroid, "<f4") for row in rows], np.float32),
    )


def general(session: Session) -> int | None:
    """The id of the segment for leads of whom nothing is known, once there is one."""
    return session.scalar(
        select(Segment.id)
        .where(Segment.retired_at.is_(None), Segment.centroid == b"")
        .order_by(Segment.id)
    )


def replace_model(
    session: Session, found: Sequence[NewSegment], *, version: str, embedder: str, at: datetime
) -> tuple[int, ...]:
    """Store a fit: kept segments get their new centre and words, the others retire (their rows stay,
    since messages and beliefs refer to them). Returns the ids in the order of `found`."""
    ids = [add_segment(session, new, version=version, embedder=embedder, at=at) for new in found]
    session.execute(
        update(Segment)
        .where(Segment.retired_at.is_(None), Segment.id.not_in(ids))
        .values(retired_at=at, size=0)
    )
    return tuple(ids)


def add_segment(
    session: Session, new: NewSegment, *, version: str, embedder: str, at: datetime
) -> int:
    """Store one segment, or new words and a new centre for the one whose id it keeps."""
    row = session.get(Segment, new.id) if new.id is not None else None
    if row is None:
        row = Segment(size=0, created_at=at)
        session.add(row)
    row.name = new.name[:200]
    row.description = new.description
    row.terms = list(new.terms)
    row.embedder = embedder
    row.model_version = version
    row.centroid = new.centroid.astype("<f4").tobytes()
    row.retired_at = None
    session.flush()
    return row.id


def current_segments(session: Session, lead_ids: Sequence[int]) -> dict[int, int | None]:
    """The segment of each lead that exists."""
    found: dict[int, int | None] = {}
    for part in _parts(lead_ids):
        rows = session.execute(select(Lead.id, Lead.segment_id).where(Lead.id.in_(part)))
        found.update((lead_id, segment) for lead_id, segment in rows)
    return found


def unassigned(session: Session) -> int:
    """How many leads have never been in a segment."""
    return session.scalar(select(func.count(Lead.id)).where(Lead.segment_id.is_(None))) or 0


def content_hashes(session: Session, lead_ids: Sequence[int]) -> dict[int, str | None]:
    found: dict[int, str | None] = {}
    for part in _parts(lead_ids):
        rows = session.execute(select(Lead.id, Lead.content_hash).where(Lead.id.in_(part)))
        found.update((lead_id, digest) for lead_id, digest in rows)
    return found


def set_content_hashes(session: Session, hashes: Mapping[int, str]) -> None:
    """Remember the hash of what is embedded of each lead; one erased meanwhile is passed over."""
    _set(session, Lead.content_hash, hashes)


def vectors(session: Session, hashes: Iterable[str], embedder: str) -> dict[str, Vectors]:
    """The stored vectors of these contents, shape (dim,) each; missing ones are left out."""
    found: dict[str, Vectors] = {}
    for part in _parts(sorted(set(hashes))):
        rows = session.execute(
            select(LeadVector.content_hash, LeadVector.vector).where(
                LeadVector.embedder == embedder, LeadVector.content_hash.in_(part)
            )
        )
        found.update((digest, np.frombuffer(blob, "<f4")) for digest, blob in rows)
    return found


def known_contents(session: Session, hashes: Iterable[str], embedder: str) -> set[str]:
    """Those of these contents that have a vector already."""
    found: set[str] = set()
    for part in _parts(sorted(set(hashes))):
        found.update(
            session.scalars(
                select(LeadVector.content_hash).where(
                    LeadVector.embedder == embedder, LeadVector.content_hash.in_(part)
                )
            )
        )
    return found


def add_vectors(session: Session, hashes: Sequence[str], rows: Vectors, embedder: str) -> None:
    """Store vectors of shape (len(hashes), dim); contents that another run stored meanwhile stay."""
    there = known_contents(session, hashes, embedder)
    add_rows(
        session,
        LeadVector,
        ("content_hash", "embedder", "vector"),
        (
            (digest, embedder, row.astype("<f4").tobytes())
            for digest, row in zip(hashes, rows, strict=True)
            if digest not in there
        ),
    )


def forget_vectors(session: Session, embedder: str) -> int:
    """Delete vectors of other embedders and of contents that no lead has any more."""
    used = exists().where(Lead.content_hash == LeadVector.content_hash)
    gone = session.execute(
        delete(LeadVector)
        .where(or_(LeadVector.embedder != embedder, ~used))
        .execution_options(synchronize_session=False)
    )
    return int(getattr(gone, "rowcount", 0))


def assign(session: Session, members: Sequence[Membership], *, version: str, at: datetime) -> None:
    """Put leads into segments; one erased meanwhile is passed over."""
    there = current_segments(session, [member.lead_id for member in members])
    _set(
        session,
        Lead.segment_id,
        {m.lead_id: m.segment_id for m in members if there.get(m.lead_id) != m.segment_id},
    )
    for part in _parts(sorted(there)):
        session.execute(
            delete(SegmentMember)
            .where(SegmentMember.lead_id.in_(part))
            .execution_options(synchronize_session=False)
        )
    add_rows(
        session,
        SegmentMember,
        ("lead_id", "segment_id", "model_version", "similarity", "at"),
        (
            (m.lead_id, m.segment_id, version, float(m.similarity), at)
            for m in members
            if m.lead_id in there
        ),
    )


def memberships(session: Session, lead_ids: Sequence[int]) -> dict[int, tuple[int, str]]:
    """Segment and model version of each lead that has been assigned."""
    found: dict[int, tuple[int, str]] = {}
    for part in _parts(lead_ids):
        rows = session.execute(
            select(
                SegmentMember.lead_id, SegmentMember.segment_id, SegmentMember.model_version
            ).where(SegmentMember.lead_id.in_(part))
        )
        found.update((lead_id, (segment, version)) for lead_id, segment, version in rows)
    return found


def count_members(session: Session) -> None:
    """Write down how large each segment is now."""
    counted = session.execute(
        select(Lead.segment_id, func.count(Lead.id)).group_by(Lead.segment_id)
    )
    sizes: dict[int | None, int] = {row[0]: row[1] for row in counted}
    for row in session.scalars(select(Segment)):
        row.size = sizes.get(row.id, 0)


def sample_of_leads(session: Session, *, limit: int, seed: int) -> list[tuple[str, int]]:
    """(content hash, segment id) of leads spread over all ids: enough to draw a map."""
    total = session.scalar(select(func.count(Lead.id)).where(Lead.content_hash.is_not(None))) or 0
    if not total:
        return []
    chosen = np.random.default_rng(seed).choice(total, min(limit, total), replace=False)
    wanted = set(chosen.tolist())
    rows = session.execute(
        select(Lead.content_hash, Lead.segment_id)
        .where(Lead.content_hash.is_not(None))
        .order_by(Lead.id)
        .execution_options(yield_per=_CHUNK)
    )
    return [
        (str(digest), int(segment))
        for place, (digest, segment) in enumerate(rows)
        if place in wanted and segment is not None
    ]


def behaviour(session: Session, lead_ids: Sequence[int], *, now: datetime) -> Behaviour:
    """What these leads did with their mail, in the order of `lead_ids`: accepted messages, and human
    opens, clicks and unsubscribes counted once a message."""
    place = {lead_id: row for row, lead_id in enumerate(lead_ids)}
    counts = np.zeros((4, len(lead_ids)))
    since = np.full(len(lead_ids), np.nan)
    columns = {EventKind.OPEN.value: 1, EventKind.CLICK.value: 2, EventKind.UNSUBSCRIBE.value: 3}
    for part in _parts(lead_ids):
        for lead_id, sent in session.execute(
            select(Message.lead_id, func.count(Message.id))
            .where(Message.lead_id.in_(part), Message.state == MessageState.ACCEPTED.value)
            .group_by(Message.lead_id)
        ):
            counts[0, place[lead_id]] = sent
        for lead_id, kind, messages, last in session.execute(
            select(
                Message.lead_id,
                Event.kind,
                func.count(Event.message_id.distinct()),
                func.max(Event.at),
            )
            .join(Event, Event.message_id == Message.id)
            .where(Message.lead_id.in_(part), Event.kind.in_(columns), Event.human >= _HUMAN)
            .group_by(Message.lead_id, Event.kind)
        ):
            row = place[lead_id]
            counts[columns[kind], row] = messages
            if kind == EventKind.CLICK.value:
                since[row] = max(0.0, (now - last).total_seconds() / 86400)
    return Behaviour(
        lead_ids=np.asarray(lead_ids, np.int64),
        sent=counts[0],
        opened=counts[1],
        clicked=counts[2],
        unsubscribed=counts[3],
        days_since_click=since,
    )


def _set(session: Session, column: InstrumentedAttribute[Any], values: Mapping[int, Any]) -> None:
    """One prepared UPDATE for many leads; rows that are gone match nothing."""
    if values:
        statement = (
            update(Lead.__table__)  # type: ignore[arg-type]
            .where(Lead.__table__.c.id == bindparam("lead"))
            .values({column.key: bindparam("value")})
        )
        session.connection().execute(
            statement, [{"lead": lead, "value": value} for lead, value in values.items()]
        )


def _parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[at : at + _CHUNK] for at in range(0, len(values), _CHUNK))


def _segment(row: Segment) -> DomainSegment:
    return DomainSegment(row.id, row.name, row.description, row.size, tuple(row.terms))
