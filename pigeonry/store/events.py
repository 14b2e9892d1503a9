"""Queries about what came back: normalised events, and the messages they belong to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import bindparam, func, select, text, update

from pigeonry.domain import Event, EventKind, MessageState
from pigeonry.store.bulk import among, insert_ignoring
from pigeonry.store.models import Event as EventRow
from pigeonry.store.models import Lead, Message
from pigeonry.store.models.delivery import RARE
from pigeonry.store.session import Session

_MANY = 500  # values in one IN list
_KINDS = {kind.value: kind for kind in EventKind}

# States in which nobody knows yet whether the mail left; an event proves that it did.
_UNPROVEN = (MessageState.HANDING_OVER, MessageState.UNKNOWN, MessageState.PARKED)


@dataclass(frozen=True, slots=True)
class EventTarget:
    """The message that an event speaks of. `unproven`: nobody knows yet whether it left. `status` is the
    strongest event before this one, "" before any."""

    message_id: int
    accepted_at: datetime | None
    unproven: bool
    status: str


class NewEvent(NamedTuple):
    """An event as it is stored: with the body it stood in, the message it belongs to, and the keyed hash
    of whom it named where that is nobody's message of ours."""

    event: Event
    raw_id: int | None
    message_id: int | None
    address_hash: str


def known(session: Session, source: str, event_ids: Sequence[str]) -> dict[str, EventKind]:
    """Which of these ids are stored already, and as what kind."""
    rows = session.execute(
        select(EventRow.event_id, EventRow.kind).where(
            EventRow.source == source, among(session, EventRow.event_id, event_ids)
        )
    )
    return {event_id: _KINDS[kind] for event_id, kind in rows}


def targets(session: Session, message_ids: Iterable[int]) -> dict[int, EventTarget]:
    """Messages by id; their rows stay locked to the end of the transaction.

    The lock (Postgres; SQLite has one writer) is taken in id order, so that two drains that touch the
    same messages wait for each other instead of overwriting each other's status.
    """
    found: dict[int, EventTarget] = {}
    columns = (Message.id, Message.accepted_at, Message.state, Message.status)
    for part in _parts(sorted(set(message_ids))):
        rows = session.execute(
            select(*columns).where(Message.id.in_(part)).order_by(Message.id).with_for_update()
        )
        for message_id, accepted, state, strongest in rows:
            found[message_id] = EventTarget(message_id, accepted, state in _UNPROVEN, strongest)
    return found


def add(session: Session, events: Iterable[NewEvent]) -> None:
    """Store events; an id that is stored already is left alone. In the order of ids, so that two who
    store the same ones wait for each other in one direction only."""
    rows = [
        {
            "source": event.source,
            "event_id": event.id,
            "raw_event_id": raw_id,
            "message_id": message_id,
            "kind": event.kind.value,
            "at": event.at,
            "human": event.human,
            "url": event.url,
            "user_agent": event.user_agent,
            "ip": event.ip,
            "reason": event.reason,
            "why": event.why,
            "value_micros": event.value_micros,
            "currency": event.currency,
            "address_hash": address,
        }
        for event, raw_id, message_id, address in sorted(
            events, key=lambda new: (new.event.source, new.event.id)
        )
    ]
    if rows:
        session.connection().execute(insert_ignoring(session, EventRow), rows)


def of_messages(session: Session, message_ids: Sequence[int]) -> dict[int, list[Event]]:
    """All events of these messages, in no order that matters."""
    found: dict[int, list[Event]] = {message_id: [] for message_id in message_ids}
    for part in _parts(message_ids):
        rows = session.execute(
            select(
                EventRow.message_id,
                EventRow.event_id,
                EventRow.source,
                EventRow.kind,
                EventRow.at,
                EventRow.url,
                EventRow.user_agent,
                EventRow.ip,
                EventRow.reason,
                EventRow.human,
                EventRow.why,
                EventRow.value_micros,
                EventRow.currency,
            ).where(EventRow.message_id.in_(part))
        )
        for message_id, event_id, source, kind, at, url, agent, ip, reason, *rest in rows:
            assert message_id is not None
            human, why, value, currency = rest
            found[message_id].append(
                Event(
                    id=event_id,
                    source=source,
                    kind=_KINDS[kind],
                    at=at,
                    url=url,
                    user_agent=agent,
                    ip=ip,
                    reason=reason,
                    human=human,
                    why=why,
                    value_micros=value,
                    currency=currency,
                )
            )
    return found


def newest(session: Session, campaign_id: int | None = None) -> int:
    """The number of the event that was stored last (for a mail of that campaign), 0 before any."""
    query = select(func.max(EventRow.id))
    if campaign_id is not None:
        query = query.join(Message, Message.id == EventRow.message_id).where(
            Message.campaign_id == campaign_id
        )
    return session.scalar(query) or 0


def any_of_campaign(session: Session, campaign_id: int, *, after_id: int, most: int) -> bool:
    """Whether one of the `most` events after that one belongs to a mail of the campaign."""
    # By itself SQLite would go over all mails of the campaign instead of the few new events.
    new = (
        select(EventRow.message_id)
        .where(EventRow.id > after_id)
        .order_by(EventRow.id)
        .limit(most)
        .subquery()
    )
    found = session.scalar(
        select(Message.id)
        .join(new, Message.id == new.c.message_id)
        .where(Message.campaign_id == campaign_id)
        .limit(1)
    )
    return found is not None


class Conversion(NamedTuple):
    """`message_id` is None where no mail of ours came before it in time: that of a held-out lead, too."""

    lead_id: int
    message_id: int | None
    at: datetime
    value_micros: int
    currency: str


def count_conversions(session: Session, *, since: datetime, until: datetime | None) -> int:
    query = select(func.count(EventRow.id)).where(
        text(RARE), EventRow.kind == EventKind.CONVERSION.value, EventRow.at >= since
    )
    return session.scalar(query.where(EventRow.at < until) if until else query) or 0


def conversions(session: Session, *, since: datetime, until: datetime) -> list[Conversion]:
    """What leads did in that time, mailed or held out: both sides of a lift."""
    columns = (EventRow.message_id, EventRow.at, EventRow.value_micros, EventRow.currency)
    wanted = (
        text(RARE),
        EventRow.kind == EventKind.CONVERSION.value,
        EventRow.at >= since,
        EventRow.at < until,
    )
    mailed = select(Message.lead_id, *columns).join(Message, Message.id == EventRow.message_id)
    others = select(Lead.id, *columns).join(Lead, Lead.address_hash == EventRow.address_hash)
    found = [Conversion(*row) for row in session.execute(mailed.where(*wanted))]
    found += [
        Conversion(*row)
        for row in session.execute(others.where(*wanted, EventRow.message_id.is_(None)))
    ]
    return sorted(found, key=lambda row: (row.at, row.lead_id))


def set_human(session: Session, events: Sequence[Event]) -> None:
    """Store each event's probability of being a person's, and why."""
    if events:
        table = EventRow.__table__
        session.connection().execute(
            update(EventRow)
            .where(
                table.c.source == bindparam("of_source"), table.c.event_id == bindparam("of_event")
            )
            .values(human=bindparam("to_human"), why=bindparam("to_why")),
            [
                {
                    "of_source": event.source,
                    "of_event": event.id,
                    "to_human": event.human,
                    "to_why": event.why,
                }
                for event in events
            ],
        )


def set_status(session: Session, statuses: Mapping[int, EventKind]) -> None:
    """Store each message's strongest event."""
    if statuses:
        session.connection().execute(
            update(Message)
            .where(Message.__table__.c.id == bindparam("of_message"))
            .values(status=bindparam("to_status")),
            [
                {"of_message": message_id, "to_status": kind.value}
                for message_id, kind in sorted(statuses.items())
            ],
        )


def prove_accepted(session: Session, proofs: Mapping[int, datetime]) -> int:
    """Messages of which nobody knew whether they left become accepted; returns how many did.

    `proofs` gives the earliest event of each. The time of the hand-over counts as acceptance where it
    is known.
    """
    proven = 0
    for message_id, at in sorted(proofs.items()):
        changed = session.execute(
            update(Message)
            .where(Message.id == message_id, Message.state.in_(_UNPROVEN))
            .values(
                state=MessageState.ACCEPTED.value,
                accepted_at=func.coalesce(Message.handover_at, at),
                lease_until=None,
                reason="an event of the provider shows that it was accepted",
            )
            .returning(Message.id)
        ).first()
        proven += changed is not None
    return proven


def _parts(values: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (values[start : start + _MANY] for start in range(0, len(values), _MANY))
