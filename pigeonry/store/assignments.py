"""Queries about the lots that leads drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from pigeonry.domain import HOLDOUT, Assignment
from pigeonry.store.models import Assignment as AssignmentRow
from pigeonry.store.models import Variant
from pigeonry.store.session import Session

_MANY = 5000  # values of one IN list


@dataclass(frozen=True, slots=True)
class LotCount:
    """How many leads of a segment drew an arm in a wave, and with which propensity."""

    wave: int
    segment_id: int
    arm: str
    propensity: float
    leads: int


def add(session: Session, campaign_id: int, lots: Sequence[Assignment], at: datetime) -> None:
    """Log lots. The lot of a lead that has one already stands."""
    if lots:
        postgres = session.get_bind().dialect.name == "postgresql"
        build: Any = postgresql.insert if postgres else sqlite.insert
        session.connection().execute(
            build(AssignmentRow).on_conflict_do_nothing(),
            [
                {
                    "campaign_id": campaign_id,
                    "lead_id": lot.lead_id,
                    "segment_id": lot.segment_id,
                    "arm": lot.arm,
                    "propensity": lot.propensity,
                    "wave": lot.wave,
                    "seed": lot.seed,
                    "at": at,
                }
                for lot in lots
            ],
        )


def drawn(session: Session, campaign_id: int, lead_ids: Sequence[int]) -> set[int]:
    """Those of these leads that have drawn already."""
    found: set[int] = set()
    for start in range(0, len(lead_ids), _MANY):
        found.update(
            session.scalars(
                select(AssignmentRow.lead_id).where(
                    AssignmentRow.campaign_id == campaign_id,
                    AssignmentRow.lead_id.in_(lead_ids[start : start + _MANY]),
                )
            )
        )
    return found


def of_leads(session: Session, campaign_id: int, lead_ids: Sequence[int]) -> list[Assignment]:
    """The lots of these leads, in the order of their ids."""
    found: list[Assignment] = []
    for start in range(0, len(lead_ids), _MANY):
        rows = session.scalars(
            select(AssignmentRow)
            .where(
                AssignmentRow.campaign_id == campaign_id,
                AssignmentRow.lead_id.in_(sorted(lead_ids)[start : start + _MANY]),
            )
            .order_by(AssignmentRow.lead_id)
        )
        found += [
            Assignment(r.lead_id, r.segment_id, r.arm, r.propensity, r.wave, r.seed) for r in rows
        ]
    return found


def held_out(session: Session, campaign_id: int) -> int:
    """How many leads drew no mail."""
    return (
        session.scalar(
            select(func.count())
            .select_from(AssignmentRow)
            .where(AssignmentRow.campaign_id == campaign_id, AssignmentRow.arm == HOLDOUT)
        )
        or 0
    )


def span(session: Session, campaign_id: int) -> tuple[datetime, datetime]:
    """When the first and the last lot of a campaign were drawn; there has to be one."""
    first, last = session.execute(
        select(func.min(AssignmentRow.at), func.max(AssignmentRow.at)).where(
            AssignmentRow.campaign_id == campaign_id
        )
    ).one()
    return first, last


def counts(session: Session, campaign_id: int) -> list[LotCount]:
    """The allocation: lots by wave, segment and arm."""
    columns = (
        AssignmentRow.wave,
        AssignmentRow.segment_id,
        AssignmentRow.arm,
        AssignmentRow.propensity,
    )
    rows = session.execute(
        select(*columns, func.count())
        .where(AssignmentRow.campaign_id == campaign_id)
        .group_by(*columns)
        .order_by(*columns)
    )
    return [LotCount(*row) for row in rows]


def texts(session: Session, campaign_id: int) -> dict[tuple[int, str], dict[str, int]]:
    """(segment, language) -> arm -> variant: what a lot may choose between."""
    found: dict[tuple[int, str], dict[str, int]] = {}
    rows = session.execute(
        select(Variant.segment_id, Variant.language, Variant.arm, Variant.id).where(
            Variant.campaign_id == campaign_id
        )
    )
    for segment_id, language, arm, variant_id in rows:
        found.setdefault((segment_id, language), {})[arm] = variant_id
    return found
