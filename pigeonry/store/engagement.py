"""Queries about accepted messages with their lots, and about fitted engagement models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select

from pigeonry.domain import Copy, MessageState, SentMessage
from pigeonry.domain.variant import PERSON
from pigeonry.store.models import Assignment, EngagementModel, Event, LlmCall, Message, Variant
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A fit as stored; `outcomes` is how many there were when it was made."""

    id: int
    target: str
    kind: str
    parameters: Mapping[str, Any]
    card: Mapping[str, Any]
    outcomes: int
    created_at: datetime


def sent(
    session: Session, *, campaign_id: int | None = None, after_id: int = 0, limit: int = 5000
) -> list[SentMessage]:
    """The next accepted messages by id, with the lot that led to each. The prompt of a text that a person
    has edited is PERSON: no prompt wrote what was read."""
    edited = Variant.tier == PERSON
    query = (
        select(
            Message.id,
            Message.lead_id,
            Message.campaign_id,
            Assignment.segment_id,
            Variant.language,
            Variant.arm,
            case((edited, PERSON), else_=Variant.prompt),
            case((edited, ""), else_=Variant.prompt_version),
            Assignment.propensity,
            Message.wave,
            Message.accepted_at,
        )
        .join(Variant, Variant.id == Message.variant_id)
        .join(
            Assignment,
            (Assignment.campaign_id == Message.campaign_id)
            & (Assignment.lead_id == Message.lead_id),
        )
        .where(
            Message.id > after_id,
            Message.state == MessageState.ACCEPTED.value,
            Message.accepted_at.is_not(None),
        )
        .order_by(Message.id)
        .limit(limit)
    )
    if campaign_id is not None:
        query = query.where(Message.campaign_id == campaign_id)
    return [SentMessage(*row) for row in session.execute(query)]


def count_sent(session: Session) -> int:
    """How many messages were ever accepted."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Message)
            .where(Message.state == MessageState.ACCEPTED.value)
        )
        or 0
    )


def copies(session: Session, campaign_ids: Sequence[int]) -> dict[tuple[int, int, str, str], Copy]:
    """(campaign, segment, language, arm) -> the words that were sent."""
    rows = session.scalars(select(Variant).where(Variant.campaign_id.in_(campaign_ids)))
    return {
        (row.campaign_id, row.segment_id, row.language, row.arm): Copy(
            row.subject, row.preheader, row.hook, tuple(row.body), row.cta
        )
        for row in rows
    }


def machine_opens(session: Session, campaign_id: int, floor: float) -> dict[str, int]:
    """Arm -> messages that only machines opened: an open below `floor`, and none at or above it."""
    human = func.max(Event.human)
    per_message = (
        select(Message.id, Variant.arm)
        .join(Variant, Variant.id == Message.variant_id)
        .join(Event, Event.message_id == Message.id)
        .where(Message.campaign_id == campaign_id, Event.kind == "open")
        .group_by(Message.id, Variant.arm)
        .having(human < floor)
        .subquery()
    )
    rows = session.execute(select(per_message.c.arm, func.count()).group_by(per_message.c.arm))
    return dict(rows.tuples().all())


def proposals(
    session: Session, *, since: datetime | None = None, before: datetime | None = None
) -> tuple[int, int]:
    """Models' proposals for copy in a period: (accepted, accepted or refused)."""
    query = (
        select(LlmCall.outcome, func.count())
        .where(LlmCall.model != "", LlmCall.outcome.in_(("accepted", "refused")))
        .group_by(LlmCall.outcome)
    )
    if since is not None:
        query = query.where(LlmCall.at >= since)
    if before is not None:
        query = query.where(LlmCall.at < before)
    found = dict(session.execute(query).tuples().all())
    return found.get("accepted", 0), sum(found.values())


def save_model(
    session: Session,
    *,
    target: str,
    kind: str,
    parameters: Mapping[str, Any],
    card: Mapping[str, Any],
    outcomes: int,
    at: datetime,
) -> int:
    row = EngagementModel(
        target=target,
        kind=kind,
        parameters=dict(parameters),
        card=dict(card),
        outcomes=outcomes,
        created_at=at,
    )
    session.add(row)
    session.flush()
    return row.id


def latest_model(session: Session, target: str = "click") -> StoredModel | None:
    row = session.scalar(
        select(EngagementModel)
        .where(EngagementModel.target == target)
        .order_by(EngagementModel.id.desc())
        .limit(1)
    )
    if row is None:
        return None
    return StoredModel(
        row.id, row.target, row.kind, row.parameters, row.card, row.outcomes, row.created_at
    )
