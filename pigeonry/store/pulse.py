"""What moves in a campaign right now, by queries that stay cheap with millions of messages."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import case, func, select

from pigeonry.domain.message import MessageState
from pigeonry.store.models import Message
from pigeonry.store.session import Session

_SAMPLE = 2000  # planned messages that are looked at for what keeps them back


@dataclass(frozen=True, slots=True)
class KeptBack:
    """Planned messages with the same reason why they did not leave the last time. `until` is the earliest
    moment of theirs, None where they may go at once. Counts a sample: at least so many."""

    reason: str
    messages: int
    until: datetime | None


def campaign_of(session: Session, message_id: int) -> int | None:
    return session.scalar(select(Message.campaign_id).where(Message.id == message_id))


def left_since(
    session: Session, campaign_id: int, channels: Collection[str], since: datetime
) -> int:
    """Hand-overs of a campaign that began after `since`; reads the index by channel and moment."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Message)
            .where(
                Message.channel.in_(sorted(channels)),
                Message.handover_at > since,
                Message.campaign_id == campaign_id,
            )
        )
        or 0
    )


def kept_back(session: Session, campaign_id: int, *, now: datetime) -> list[KeptBack]:
    """Why planned messages wait, the most frequent reason first. Those that were tried stand before those
    that never were, so the first ones by number are looked at."""
    first = (
        select(
            Message.reason,
            case((Message.not_before > now, Message.not_before)).label("until"),
        )
        .where(Message.campaign_id == campaign_id, Message.state == MessageState.PLANNED.value)
        .order_by(Message.id)
        .limit(_SAMPLE)
        .subquery()
    )
    rows = session.execute(
        select(first.c.reason, func.count(), func.min(first.c.until))
        .where(first.c.reason != "")
        .group_by(first.c.reason)
        .order_by(func.count().desc(), first.c.reason)
    )
    return [KeptBack(reason, number, until) for reason, number, until in rows]
