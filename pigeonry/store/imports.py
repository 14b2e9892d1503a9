"""Queries about files that were imported."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from pigeonry.store.models import ImportRun
from pigeonry.store.session import Session


def start(session: Session, *, file_name: str, file_hash: str, at: datetime) -> int:
    """Record that an import began. Earlier ones of the same content that never ended are closed as
    interrupted: this one does their work."""
    session.execute(
        update(ImportRun)
        .where(ImportRun.file_hash == file_hash, ImportRun.state == "running")
        .values(state="interrupted", finished_at=at)
    )
    run = ImportRun(
        file_name=file_name[:200], file_hash=file_hash, state="running", counts={}, started_at=at
    )
    session.add(run)
    session.flush()
    return run.id


def finish(session: Session, run_id: int, *, counts: Mapping[str, Any], at: datetime) -> None:
    session.execute(
        update(ImportRun)
        .where(ImportRun.id == run_id)
        .values(state="done", counts=dict(counts), finished_at=at)
    )


def last_done(session: Session, file_hash: str) -> datetime | None:
    """When exactly this content was last imported to the end."""
    return session.scalar(
        select(ImportRun.finished_at)
        .where(ImportRun.file_hash == file_hash, ImportRun.state == "done")
        .order_by(ImportRun.id.desc())
        .limit(1)
    )
