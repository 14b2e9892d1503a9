"""Queries about bodies as they came: kept before anybody understands them, understood once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select, update

from pigeonry.store.bulk import insert_ignoring
from pigeonry.store.models import RawEvent
from pigeonry.store.session import Session

CRM = "crm:"  # what names of CRM sources begin with


@dataclass(frozen=True, slots=True)
class RawBody:
    id: int
    source: str
    body: bytes
    received_at: datetime
    headers: Mapping[str, Any] = field(default_factory=dict)


def add(
    session: Session, *, source: str, body: bytes, headers: Mapping[str, Any], at: datetime
) -> int:
    """Store a body as it came and return its id; the same bytes from the same source keep theirs."""
    digest = hashlib.sha256(body).hexdigest()
    known = select(RawEvent.id).where(RawEvent.source == source, RawEvent.body_hash == digest)
    session.execute(
        insert_ignoring(session, RawEvent),
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


def bodies(session: Session, raw_ids: Sequence[int]) -> list[RawBody]:
    columns = (
        RawEvent.id,
        RawEvent.source,
        RawEvent.body,
        RawEvent.received_at,
        RawEvent.headers,
    )
    query = select(*columns).where(RawEvent.id.in_(raw_ids)).order_by(RawEvent.id)
    return [RawBody(*row) for row in session.execute(query)]


def undrained(
    session: Session, *, skip: int, most: int, most_bytes: int, crm: bool = False
) -> list[int]:
    """Ids of bodies that nobody has understood yet, oldest first, as many as stay within `most_bytes`
    (one at least): events, or news of CRMs, which go their own way."""
    rows = session.execute(
        select(RawEvent.id, func.length(RawEvent.body))
        .where(RawEvent.drained_at.is_(None), _of(crm))
        .order_by(RawEvent.id)
        .offset(skip)
        .limit(most)
    )
    found: list[int] = []
    total = 0
    for raw_id, size in rows:
        total += size
        if found and total > most_bytes:
            break
        found.append(raw_id)
    return found


def count_undrained(session: Session, *, crm: bool = False) -> int:
    query = select(func.count()).where(RawEvent.drained_at.is_(None), _of(crm))
    return session.scalar(query) or 0


def newest(session: Session, *, crm: bool) -> int:
    """The id of the newest body that nobody has understood yet, 0 for none."""
    query = select(func.max(RawEvent.id)).where(RawEvent.drained_at.is_(None), _of(crm))
    return session.scalar(query) or 0


def _of(crm: bool) -> ColumnElement[bool]:
    named = RawEvent.source.startswith(CRM, autoescape=True)
    return named if crm else ~named


def claim(session: Session, raw_ids: Sequence[int]) -> set[int]:
    """Those of these bodies that nobody has understood meanwhile, held to the end of the transaction;
    one that somebody else holds is left to them."""
    query = (
        select(RawEvent.id)
        .where(RawEvent.id.in_(raw_ids), RawEvent.drained_at.is_(None))
        .order_by(RawEvent.id)
    )
    return set(session.scalars(query.with_for_update(skip_locked=True)))


def replace(session: Session, raw_id: int, body: bytes) -> None:
    """Keep less of a body than came; its hash stays, so that the same one is recognised."""
    session.execute(
        update(RawEvent).where(RawEvent.id == raw_id).values(body=body, headers={}, error="")
    )


def mark_drained(session: Session, errors: Mapping[int, str], at: datetime) -> None:
    """By body: which of its elements were no events. The body itself stays for a second look."""
    if errors:
        table = RawEvent.__table__
        session.connection().execute(
            update(RawEvent)
            .where(table.c.id == bindparam("of_raw"))
            .values(drained_at=bindparam("to_at"), error=bindparam("to_error")),
            [
                {"of_raw": raw_id, "to_at": at, "to_error": error}
                for raw_id, error in sorted(errors.items())
            ],
        )
