"""Queries about when we last asked a provider for what we might have missed: rows of `job`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from pigeonry.store.models import Job
from pigeonry.store.session import Session

KIND = "sendgrid-pull"
_DONE = "done"


def last(session: Session) -> datetime | None:
    """When the last pull that came to its end began."""
    return session.scalar(
        select(Job.started_at)
        .where(Job.kind == KIND, Job.state == _DONE)
        .order_by(Job.started_at.desc())
        .limit(1)
    )


def add(session: Session, *, began: datetime, result: Mapping[str, Any]) -> None:
    session.add(
        Job(
            kind=KIND,
            state=_DONE,
            payload={},
            result=dict(result),
            created_at=began,
            started_at=began,
            finished_at=began,
        )
    )
    session.flush()
