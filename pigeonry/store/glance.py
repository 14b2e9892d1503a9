"""Queries of the dashboard: each reads an index or a few rows, never all mails or all events."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select, text

from pigeonry.domain.event import EventKind
from pigeonry.domain.message import MessageState
from pigeonry.store import leads
from pigeonry.store.models import (
    Campaign,
    Consent,
    Event,
    Lead,
    Message,
    MessageAttempt,
    Suppression,
)
from pigeonry.store.models.delivery import RARE
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class LeadCounts:
    """`mailable` have a consent that holds and are not suppressed; `suppressed` must never be written to."""

    total: int
    mailable: int
    suppressed: int


def lead_counts(session: Session, *, now: datetime) -> LeadCounts:
    suppressed = select(func.count(Lead.id)).where(
        exists().where(Suppression.address_hash == Lead.address_hash)
    )
    return LeadCounts(
        leads.count(session),
        leads.count_mailable(session, now=now),
        session.scalar(suppressed) or 0,
    )


def lead_mark(session: Session) -> tuple[int, ...]:
    """Changes when leads, consents or suppressions do: while it stays, nobody has to count again."""
    total, highest = session.execute(select(func.count(Lead.id), func.max(Lead.id))).one()
    consents = session.scalar(select(func.max(Consent.id)))
    stops = session.scalar(select(func.count(Suppression.address_hash)))
    return (total or 0, highest or 0, consents or 0, stops or 0)


def open_campaigns(session: Session, *, limit: int) -> list[int]:
    """Those that are neither done nor cancelled, newest first."""
    return list(
        session.scalars(
            select(Campaign.id)
            .where(Campaign.state.in_(("running", "waiting", "paused")))
            .order_by(Campaign.id.desc())
            .limit(limit)
        )
    )


def finished_campaigns(session: Session, *, limit: int) -> list[int]:
    """The last ones that are done, the latest first."""
    return list(
        session.scalars(
            select(Campaign.id)
            .where(Campaign.state == "done")
            .order_by(Campaign.finished_at.desc(), Campaign.id.desc())
            .limit(limit)
        )
    )


def uncertain(session: Session) -> dict[MessageState, int]:
    """How many messages wait for a person's word (parked) or for evidence (unknown)."""
    rows = session.execute(
        select(Message.state, func.count())
        .where(Message.state.in_((MessageState.PARKED.value, MessageState.UNKNOWN.value)))
        .group_by(Message.state)
    )
    return {MessageState(state): number for state, number in rows}


def handed_over(session: Session, *, channels: Collection[str], since: datetime) -> int:
    return (
        session.scalar(
            select(func.count())
            .select_from(Message)
            .where(Message.channel.in_(sorted(channels)), Message.handover_at >= since)
        )
        or 0
    )


def rare_events(session: Session, *, since: datetime) -> dict[EventKind, int]:
    """Bounces, complaints, unsubscribes and conversions since then."""
    kinds = (EventKind.BOUNCE, EventKind.COMPLAINT, EventKind.CONVERSION, EventKind.UNSUBSCRIBE)
    rows = session.execute(
        select(Event.kind, func.count())
        .where(text(RARE), Event.kind.in_([kind.value for kind in kinds]), Event.at >= since)
        .group_by(Event.kind)
    )
    return {EventKind(kind): number for kind, number in rows}


@dataclass(frozen=True, slots=True)
class LastTry:
    """A hand-over as it ended: accepted, refused, retry, unknown."""

    outcome: str
    reason: str
    at: datetime


def last_tries(session: Session, *, limit: int) -> list[LastTry]:
    """The newest hand-overs of all channels."""
    rows = session.execute(
        select(
            MessageAttempt.outcome,
            MessageAttempt.reason,
            func.coalesce(MessageAttempt.finished_at, MessageAttempt.started_at),
        )
        .where(MessageAttempt.owner != "operator")
        .order_by(MessageAttempt.id.desc())
        .limit(limit)
    )
    return [LastTry(*row) for row in rows]
