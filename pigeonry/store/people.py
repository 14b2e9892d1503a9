"""Everything that is stored about one person, to hand it over or to take it away."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.orm import DeclarativeBase

from pigeonry.store.models import (
    Assignment,
    Consent,
    Event,
    Lead,
    LeadVector,
    Message,
    MessageAttempt,
    RawEvent,
    SegmentMember,
    Suppression,
    Variant,
)
from pigeonry.store.session import Database, Session


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows went. `send_keys` name the files that a file channel may have written."""

    found: bool
    consents: int = 0
    assignments: int = 0
    messages: int = 0
    events: int = 0
    vectors: int = 0
    files: int = 0
    send_keys: tuple[str, ...] = ()

    def counts(self) -> dict[str, int]:
        names = ("consents", "assignments", "messages", "events", "vectors", "files")
        return {name: getattr(self, name) for name in names}


def dossier(session: Session, email: str, address_hash: str) -> dict[str, Any]:
    """All rows about a canonical address by table; an empty `lead` when there is none."""
    lead = session.scalar(select(Lead).where(Lead.email == email))
    suppression = session.get(Suppression, address_hash)
    found: dict[str, Any] = {
        "lead": _plain(lead) if lead else None,
        "suppression": _plain(suppression) if suppression else None,
    }
    if lead is None:
        return found
    messages = list(session.scalars(select(Message).where(Message.lead_id == lead.id)))
    ids = [message.id for message in messages]
    written = select(Variant.id, Variant.subject).where(
        Variant.id.in_([message.variant_id for message in messages])
    )
    subjects: dict[int, str] = {row.id: row.subject for row in session.execute(written)}
    return found | {
        "consents": _rows(session, select(Consent).where(Consent.lead_id == lead.id)),
        "segment": _rows(session, select(SegmentMember).where(SegmentMember.lead_id == lead.id)),
        "assignments": _rows(session, select(Assignment).where(Assignment.lead_id == lead.id)),
        "messages": [
            _plain(message) | {"subject": subjects.get(message.variant_id, "")}
            for message in messages
        ],
        "attempts": _rows(
            session, select(MessageAttempt).where(MessageAttempt.message_id.in_(ids))
        ),
        "events": _rows(session, select(Event).where(Event.message_id.in_(ids))),
    }


def erase(session: Session, email: str) -> Erased:
    """Delete the lead and all that hangs on it; vectors that nobody else shares; the address inside
    stored provider reports. Suppression is the caller's."""
    lead = session.scalar(select(Lead).where(Lead.email == email))
    if lead is None:
        return Erased(found=False)
    keys = tuple(session.scalars(select(Message.send_key).where(Message.lead_id == lead.id)))
    messages = select(Message.id).where(Message.lead_id == lead.id).scalar_subquery()
    raw = session.scalars(
        select(RawEvent).where(
            RawEvent.id.in_(select(Event.raw_event_id).where(Event.message_id.in_(messages)))
        )
    )
    for report in raw:
        # Its hash stays, so that the same report is still recognised when it comes again.
        report.body = _without(report.body, email)
    events = _deleted(session, Event, Event.message_id.in_(messages))
    session.execute(delete(MessageAttempt).where(MessageAttempt.message_id.in_(messages)))
    gone = {
        "assignments": _deleted(session, Assignment, Assignment.lead_id == lead.id),
        "messages": _deleted(session, Message, Message.lead_id == lead.id),
        "consents": _deleted(session, Consent, Consent.lead_id == lead.id),
    }
    session.execute(delete(SegmentMember).where(SegmentMember.lead_id == lead.id))
    content = lead.content_hash
    session.delete(lead)
    session.flush()
    vectors = 0
    if content is not None:
        shared = session.scalar(
            select(func.count()).select_from(Lead).where(Lead.content_hash == content)
        )
        if not shared:
            vectors = _deleted(session, LeadVector, LeadVector.content_hash == content)
    return Erased(found=True, events=events, vectors=vectors, send_keys=keys, **gone)


def forget_log(database: Database) -> None:
    """SQLite's write-ahead log still holds the rows as they were: fold it in and empty it. Pages that
    were freed are overwritten by `secure_delete`."""
    if database.dialect == "sqlite":
        with database.engine.connect() as connection:
            cursor = connection.connection.cursor()
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.close()


def _without(body: bytes, email: str) -> bytes:
    """The report without the address, whatever its case."""
    return re.sub(re.escape(email.encode()), b"erased@invalid", body, flags=re.IGNORECASE)


def _deleted(session: Session, table: type[DeclarativeBase], condition: Any) -> int:
    found = session.execute(delete(table).where(condition))
    return int(getattr(found, "rowcount", 0))


def _rows(session: Session, query: Any) -> list[dict[str, Any]]:
    return [_plain(row) for row in session.scalars(query)]


def _plain(row: DeclarativeBase) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in row.__table__.columns:
        value = getattr(row, column.key)
        found[column.key] = value.isoformat() if isinstance(value, datetime) else value
    return found
