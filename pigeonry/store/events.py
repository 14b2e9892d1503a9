"""Queries about what came back: raw bodies, normalised events, and the messages they belong to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pigeonry.domain import Event, EventKind, MessageState
from pigeonry.store.models import Event as EventRow
from pigeonry.store.models import Message, RawEvent
from pigeonry.store.session import Session

_MANY = 500  # values in one IN list

# States in which nobody knows yet whether the mail left; an event proves that it did.
_UNPROVEN = (MessageState.HANDING_OVER, MessageState.UNKNOWN, MessageState.PARKED)


@dataclass(frozen=True, slots=True)
class RawBody:
    id: int
    source: str
    body: bytes
    received_at: datetime
    drained_at: datetime | None


@dataclass(frozen=True, slots=True)
class EventTarget:
    """The message that an event speaks of. `unproven`: nobody knows yet whether it left. `status` is the
    strongest event before this one, "" before any."""

    message_id: int
    lead_id: int
    address_hash: str
    accepted_at: datetime | None
    unproven: bool
    status: str


def add_raw(
    session: Session, *, source: str, body: bytes, headers: Mapping[str, Any], at: datetime
) -> int:
    """Store a body as it came and return its id; the same bytes from the same source keep theirs."""
    digest = hashlib.sha256(body).hexdigest()
    known = select(RawEvent.id).where(RawEvent.source == source, RawEvent.body_hash == digest)
    session.execute(
        _insert_ignoring(session, RawEvent),
        {
            "source": source,
            "body": body,
            "body_hash": digest,
            "headers": dict(headers),
            "received_at": at,
            "error": "",
        },
    )
    return session.scalars(known).one()


def raw(session: Session, raw_id: int) -> RawBody:
    row = session.get_one(RawEvent, raw_id)
    return RawBody(row.id, row.source, row.body, row.received_at, row.drained_at)


def undrained(session: Session, limit: int = 100) -> list[int]:
    """Ids of bodies that nobody has understood yet, oldest first."""
    return list(
        session.scalars(
            select(RawEvent.id)
            .where(RawEvent.drained_at.is_(None))
            .order_by(RawEvent.id)
            .limit(limit)
        )
    )


def mark_drained(session: Session, raw_id: int, at: datetime, error: str) -> None:
    """`error` lists the elements that were no events; the body itself stays for a second look."""
    session.execute(
        update(RawEvent).where(RawEvent.id == raw_id).values(drained_at=at, error=error)
    )


def known(session: Session, source: str, event_ids: Sequence[str]) -> dict[str, EventKind]:
    """Which of these ids are stored already, and as what kind."""
    found: dict[str, EventKind] = {}
    for part in _parts(event_ids):
        rows = session.execute(
            select(EventRow.event_id, EventRow.kind).where(
                EventRow.source == source, EventRow.event_id.in_(part)
            )
        )
        found.update({event_id: EventKind(kind) for event_id, kind in rows})
    return found


def targets(
    session: Session, send_keys: Iterable[str], provider_ids: Iterable[str], *, lock: bool
) -> tuple[dict[str, EventTarget], dict[str, EventTarget]]:
    """Messages by send key and by provider id; with `lock` their rows stay locked to the end.

    The lock (Postgres; SQLite has one writer) is taken in id order, so that two drains that touch the
    same messages wait for each other instead of overwriting each other's status.
    """
    columns = (
        Message.id,
        Message.lead_id,
        Message.address_hash,
        Message.accepted_at,
        Message.state,
        Message.status,
        Message.send_key,
        Message.provider_id,
    )
    by_key: dict[str, EventTarget] = {}
    by_provider: dict[str, EventTarget] = {}
    for column, values in (
        (Message.send_key, sorted({value for value in send_keys if value})),
        (Message.provider_id, sorted({value for value in provider_ids if value})),
    ):
        for part in _parts(values):
            query = select(*columns).where(column.in_(part)).order_by(Message.id)
            rows = session.execute(query.with_for_update() if lock else query)
            for message_id, lead_id, address, accepted, state, strongest, key, provider in rows:
                target = EventTarget(
                    message_id, lead_id, address, accepted, state in _UNPROVEN, strongest
                )
                by_key[key] = target
                if provider:
                    by_provider[provider] = target
    return by_key, by_provider


def add(session: Session, raw_id: int | None, events: Sequence[tuple[Event, int | None]]) -> None:
    """Store events with the message each belongs to; an id that is stored already is left alone."""
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
        }
        for event, message_id in events
    ]
    if rows:
        session.connection().execute(_insert_ignoring(session, EventRow), rows)


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
            ).where(EventRow.message_id.in_(part))
        )
        for message_id, event_id, source, kind, at, url, agent, ip, reason, human in rows:
            assert message_id is not None
            found[message_id].append(
                Event(
                    id=event_id,
                    source=source,
                    kind=EventKind(kind),
                    at=at,
                    url=url,
                    user_agent=agent,
                    ip=ip,
                    reason=reason,
                    human=human,
                )
            )
    return found


def set_human(session: Session, events: Sequence[Event]) -> None:
    """Store each event's probability of being a person's."""
    if events:
        table = EventRow.__table__
        session.connection().execute(
            update(EventRow)
            .where(
                table.c.source == bindparam("of_source"), table.c.event_id == bindparam("of_event")
            )
            .values(human=bindparam("to_human")),
            [
                {"of_source": event.source, "of_event": event.id, "to_human": event.human}
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


def _insert_ignoring(session: Session, table: Any) -> Any:
    """INSERT that leaves a row alone that breaks a unique constraint (both dialects spell it alike)."""
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()
