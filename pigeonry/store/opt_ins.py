"""Requests to be written to, and the one confirmation mail of each: rows of `job`.

`state` is queued, handing_over, sent, failed or unknown. Only queued may ever become handing_over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, update

from pigeonry.store.models import Job
from pigeonry.store.session import Session

KIND = "opt-in-mail"


@dataclass(frozen=True, slots=True)
class OptIn:
    """`send_key` is random: it travels in the mail's headers, and its token is signed over it."""

    id: int
    lead_id: int
    send_key: str
    language: str
    text_version: str
    source: str
    network: str  # of the address that asked; "" when unknown
    state: str
    attempts: int
    created_at: datetime
    confirmed_at: datetime | None


def add(
    session: Session,
    *,
    lead_id: int,
    send_key: str,
    language: str,
    text_version: str,
    source: str,
    network: str,
    at: datetime,
) -> None:
    payload = {
        "lead_id": lead_id,
        "send_key": send_key,
        "language": language,
        "text_version": text_version,
        "source": source,
        "network": network,
    }
    session.add(Job(kind=KIND, state="queued", payload=payload, result={}, created_at=at))
    session.flush()


def get(session: Session, request_id: int, *, lock: bool = False) -> OptIn | None:
    """As it is now; with `lock` nobody else changes it before the commit."""
    row = session.get(Job, request_id, populate_existing=True, with_for_update=lock)
    return _opt_in(row) if row is not None and row.kind == KIND else None


def asked(session: Session, lead_id: int, *, since: datetime) -> int:
    """How often this lead was asked to confirm since then."""
    query = select(func.count()).where(
        Job.kind == KIND, Job.created_at > since, Job.payload["lead_id"].as_integer() == lead_id
    )
    return session.scalar(query) or 0


def queued(session: Session, *, after_id: int, limit: int = 50) -> list[OptIn]:
    rows = session.scalars(
        select(Job)
        .where(Job.kind == KIND, Job.state == "queued", Job.id > after_id)
        .order_by(Job.id)
        .limit(limit)
    )
    return [_opt_in(row) for row in rows]


def begin(session: Session, request_id: int, *, at: datetime) -> bool:
    """The intent to hand over, before the first byte. Two senders never get the same one."""
    changed = session.execute(
        update(Job)
        .where(Job.id == request_id, Job.kind == KIND, Job.state == "queued")
        .values(state="handing_over", started_at=at)
    )
    return bool(changed.rowcount == 1)  # type: ignore[attr-defined]


def finish(
    session: Session, request_id: int, *, state: str, result: Mapping[str, Any], at: datetime
) -> bool:
    """What became of it. A result that comes late, when the mail was already called unknown, counts.
    A confirmation that came before the result is kept."""
    states = ("queued", "handing_over", "unknown")
    row = session.scalar(
        select(Job)
        .where(Job.id == request_id, Job.kind == KIND, Job.state.in_(states))
        .with_for_update()
    )
    if row is None:
        return False
    row.state, row.finished_at = state, at
    row.result = {**row.result, **result}
    session.flush()
    return True


def confirm(session: Session, opt_in: OptIn, *, at: datetime) -> None:
    """Spend the request's token."""
    row = session.get_one(Job, opt_in.id, with_for_update=True, populate_existing=True)
    row.result = {**row.result, "confirmed_at": at.isoformat()}
    session.flush()


def abandon(session: Session, *, begun_before: datetime, at: datetime) -> int:
    """A sender died between its intent and its result: whether those mails left, nobody knows."""
    changed = session.execute(
        update(Job)
        .where(Job.kind == KIND, Job.state == "handing_over", Job.started_at < begun_before)
        .values(state="unknown", finished_at=at)
    )
    return int(changed.rowcount)  # type: ignore[attr-defined]


def counts(session: Session) -> dict[str, int]:
    """How many requests there are in each state."""
    rows = session.execute(
        select(Job.state, func.count()).where(Job.kind == KIND).group_by(Job.state)
    )
    return {row[0]: row[1] for row in rows}


def _opt_in(row: Job) -> OptIn:
    confirmed = row.result.get("confirmed_at")
    return OptIn(
        id=row.id,
        lead_id=row.payload["lead_id"],
        send_key=row.payload["send_key"],
        language=row.payload["language"],
        text_version=row.payload["text_version"],
        source=row.payload["source"],
        network=row.payload["network"],
        state=row.state,
        attempts=row.result.get("attempts", 0),
        created_at=row.created_at,
        confirmed_at=datetime.fromisoformat(confirmed) if confirmed else None,
    )
