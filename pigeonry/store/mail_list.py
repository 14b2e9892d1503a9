"""Messages and events of a campaign, as lists and counts for programs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import distinct, func, select

from pigeonry.domain.event import EventKind
from pigeonry.domain.message import MessageState
from pigeonry.errors import NotFound
from pigeonry.store.models import Event, Message
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class Mail:
    """One message as it stands: the lead by number."""

    id: int
    campaign_id: int
    lead_id: int
    variant_id: int
    wave: int
    channel: str
    state: MessageState
    reason: str
    status: str
    planned_at: datetime
    accepted_at: datetime | None


@dataclass(frozen=True, slots=True)
class EventCount:
    kind: EventKind
    events: int
    messages: int


def page(
    session: Session,
    campaign_id: int,
    *,
    state: MessageState | None = None,
    after: int = 0,
    limit: int = 100,
) -> list[Mail]:
    """Messages of a campaign in the order of their numbers, those after `after`."""
    states = [one.value for one in ([state] if state else MessageState)]
    rows = session.scalars(
        select(Message)
        .where(Message.campaign_id == campaign_id, Message.state.in_(states), Message.id > after)
        .order_by(Message.id)
        .limit(limit)
    )
    return [_mail(row) for row in rows]


def one(session: Session, message_id: int) -> Mail:
    row = session.get(Message, message_id)
    if row is None:
        raise NotFound("there is no such message", where=str(message_id))
    return _mail(row)


def event_counts(session: Session, campaign_id: int) -> list[EventCount]:
    """How often each kind of event came, and for how many messages, machines among them."""
    rows = session.execute(
        select(Event.kind, func.count(), func.count(distinct(Event.message_id)))
        .join(Message, Message.id == Event.message_id)
        .where(Message.campaign_id == campaign_id)
        .group_by(Event.kind)
    )
    found = {EventKind(kind): (events, messages) for kind, events, messages in rows}
    return [EventCount(kind, *found[kind]) for kind in EventKind if kind in found]


def _mail(row: Message) -> Mail:
    return Mail(
        row.id,
        row.campaign_id,
        row.lead_id,
        row.variant_id,
        row.wave,
        row.channel,
        MessageState(row.state),
        row.reason,
        row.status,
        row.planned_at,
        row.accepted_at,
    )
