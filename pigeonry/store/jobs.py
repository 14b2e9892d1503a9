"""Queries about jobs: asked for, claimed with a lease, said how far, finished. Other noun modules keep rows
of their own kinds in the same table (requests to be written to, mailboxes); here a kind is always named."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select, text, update

from pigeonry.domain.job import OPEN, Job, JobState
from pigeonry.store.models import Job as Row
from pigeonry.store.session import Session

_OPEN = [state.value for state in OPEN]
_LOCK = 7_305_804_411  # any constant: Postgres' advisory lock of those who ask for jobs


def add(
    session: Session, *, kind: str, subject: str, payload: Mapping[str, Any], by: str, at: datetime
) -> Job:
    """Ask for one; of one kind and subject (unless it is "") the one that is open already is returned."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if subject:
        query = select(Row).where(Row.subject == subject, Row.kind == kind, Row.state.in_(_OPEN))
        if row := session.scalar(query.limit(1)):
            return _job(row)
    row = Row(
        kind=kind, subject=subject[:80], state=JobState.QUEUED.value, payload=dict(payload), result={},
        says="", done=0, total=0, asked_by=by[:200], owner="", attempts=0, created_at=at,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return _job(row)


def get(session: Session, job_id: int) -> Job | None:
    row = session.get(Row, job_id, populate_existing=True)
    return _job(row) if row is not None and row.state in set(JobState) else None


def newest(
    session: Session,
    kinds: Collection[str],
    *,
    subject: str = "",
    only_open: bool = False,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Job]:
    """Newest first; `before_id` is the last id of the page before."""
    query = select(Row).where(Row.kind.in_(kinds)).order_by(Row.id.desc()).limit(limit)
    if subject:
        query = query.where(Row.subject == subject)
    if only_open:
        query = query.where(Row.state.in_(_OPEN))
    if before_id is not None:
        query = query.where(Row.id < before_id)
    return [_job(row) for row in session.scalars(query)]


def unfinished(session: Session, kinds: Collection[str]) -> list[Job]:
    """Queued and running, oldest first."""
    rows = session.scalars(
        select(Row).where(Row.kind.in_(kinds), Row.state.in_(_OPEN)).order_by(Row.id)
    )
    return [_job(row) for row in rows]


def reserve(session: Session, job: Job, *, until: datetime, now: datetime) -> bool:
    """Say that a process is being started for a queued job, so that nobody starts another before then."""
    free = or_(Row.lease_until.is_(None), Row.lease_until <= now)
    return _changed(session, job, JobState.QUEUED, free, lease_until=until)


def claim(session: Session, job: Job, *, owner: str, until: datetime, now: datetime) -> bool:
    """Take a queued job. False when somebody else did since `job` was read."""
    return _changed(
        session,
        job,
        JobState.QUEUED,
        True,
        state=JobState.RUNNING.value,
        owner=owner,
        attempts=job.attempts + 1,
        lease_until=until,
        started_at=func.coalesce(Row.started_at, now),
        says="",
        done=0,
        total=0,
    )


def put_back(session: Session, job: Job) -> bool:
    """A running job whose process is gone is queued again. False when it moved on since it was read."""
    return _changed(
        session,
        job,
        JobState.RUNNING,
        Row.owner == job.owner,
        state=JobState.QUEUED.value,
        owner="",
        lease_until=None,
    )


def beat(
    session: Session, job_id: int, *, owner: str, until: datetime, says: str, done: int, total: int
) -> bool:
    """Still here, and so far. False when the job is no longer this owner's."""
    found = session.execute(
        update(Row)
        .where(Row.id == job_id, Row.owner == owner, Row.state == JobState.RUNNING.value)
        .values(lease_until=until, says=says[:200], done=done, total=total)
    )
    return bool(getattr(found, "rowcount", 0))


def ask_to_cancel(session: Session, job_id: int, *, at: datetime) -> None:
    """A queued job is cancelled at once, a running one when its process sees it. Others stay as they are."""
    session.execute(
        update(Row)
        .where(Row.id == job_id, Row.state == JobState.QUEUED.value)
        .values(state=JobState.CANCELLED.value, cancel_asked_at=at, finished_at=at)
    )
    session.execute(
        update(Row)
        .where(Row.id == job_id, Row.state == JobState.RUNNING.value)
        .values(cancel_asked_at=func.coalesce(Row.cancel_asked_at, at))
    )


def finish(
    session: Session,
    job_id: int,
    *,
    owner: str,
    state: JobState,
    result: Mapping[str, Any],
    at: datetime,
) -> bool:
    """The end of a running job, by its owner only. False when it is no longer this owner's."""
    found = session.execute(
        update(Row)
        .where(Row.id == job_id, Row.owner == owner, Row.state == JobState.RUNNING.value)
        .values(state=state.value, result=dict(result), finished_at=at, lease_until=None)
    )
    return bool(getattr(found, "rowcount", 0))


def again(session: Session, job: Job) -> bool:
    """A failed or cancelled job is queued once more, as if new."""
    return _changed(
        session,
        job,
        job.state,
        Row.state.in_([JobState.FAILED.value, JobState.CANCELLED.value]),
        state=JobState.QUEUED.value,
        attempts=0,
        owner="",
        lease_until=None,
        cancel_asked_at=None,
        finished_at=None,
        result={},
        done=0,
        total=0,
        says="",
    )


def _changed(session: Session, job: Job, before: JobState, also: Any, /, **values: Any) -> bool:
    """Compare and set: only when the job is as it was read."""
    query = update(Row).where(
        Row.id == job.id, Row.state == before.value, Row.attempts == job.attempts
    )
    found = session.execute((query if also is True else query.where(also)).values(**values))
    return bool(getattr(found, "rowcount", 0))


def _job(row: Row) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        subject=row.subject,
        state=JobState(row.state),
        payload=row.payload,
        result=row.result,
        says=row.says,
        done=row.done,
        total=row.total,
        asked_by=row.asked_by,
        attempts=row.attempts,
        owner=row.owner,
        cancel_asked=row.cancel_asked_at is not None,
        lease_until=row.lease_until,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
    )
