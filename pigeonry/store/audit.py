"""Queries about the audit trail: rows are added and read, nothing else."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import select, text

from pigeonry.domain.operator import AuditEntry
from pigeonry.store.models import Audit
from pigeonry.store.session import Session

BEFORE_THE_FIRST = "0" * 64


def append(
    session: Session,
    key: bytes,
    *,
    at: datetime,
    actor: str,
    action: str,
    subject: str = "",
    detail: Mapping[str, str | int | bool] | None = None,
) -> AuditEntry:
    """Add a row that names the one before it. `key` is the home's: whoever can write to the database
    alone cannot make a chain that verifies."""
    if session.get_bind().dialect.name == "postgresql":  # SQLite has one writer anyway
        session.execute(text("LOCK TABLE audit IN SHARE ROW EXCLUSIVE MODE"))
    previous = session.scalar(select(Audit.hash).order_by(Audit.id.desc()).limit(1))
    row = Audit(
        at=at,
        actor=actor[:200],
        action=action[:40],
        subject=subject[:200],
        detail=dict(detail or {}),
        previous_hash=previous or BEFORE_THE_FIRST,
    )
    row.hash = seal(key, _entry(row, identity=0))
    session.add(row)
    session.flush()
    return _entry(row)


def seal(key: bytes, entry: AuditEntry) -> str:
    """The hash over everything that an entry says, and the hash before it; not over its number, which
    the database gives afterwards."""
    said = [
        entry.previous_hash,
        entry.at.isoformat(timespec="microseconds"),
        entry.actor,
        entry.action,
        entry.subject,
        json.dumps(entry.detail, sort_keys=True, ensure_ascii=False),
    ]
    return hmac.new(key, json.dumps(said).encode(), hashlib.sha256).hexdigest()


def oldest_first(session: Session) -> Iterator[AuditEntry]:
    """Every row, a few at a time."""
    for row in session.scalars(select(Audit).order_by(Audit.id).execution_options(yield_per=500)):
        yield _entry(row)


def newest_first(
    session: Session, *, before: int = 0, limit: int = 50, action: str = ""
) -> list[AuditEntry]:
    """A page of rows, those below the number `before`."""
    query = select(Audit).order_by(Audit.id.desc()).limit(limit)
    if before:
        query = query.where(Audit.id < before)
    if action:
        query = query.where(Audit.action == action)
    return [_entry(row) for row in session.scalars(query)]


def actions(session: Session) -> list[str]:
    """What was ever done, by name."""
    return list(session.scalars(select(Audit.action).distinct().order_by(Audit.action)))


def _entry(row: Audit, identity: int | None = None) -> AuditEntry:
    return AuditEntry(
        row.id if identity is None else identity,
        row.at,
        row.actor,
        row.action,
        row.subject,
        row.detail,
        row.previous_hash,
        row.hash or "",
    )
