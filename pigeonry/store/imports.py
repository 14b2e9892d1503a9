"""Queries about files that were imported, and about what each import did to which lead."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from pigeonry.store.bulk import add_rows
from pigeonry.store.models import ImportChange, ImportRun, Lead
from pigeonry.store.session import Session

RUNNING, DONE, INTERRUPTED, CANCELLED = "running", "done", "interrupted", "cancelled"
UNDOING, UNDONE = "undoing", "undone"

# field -> (before, after); an attribute's name begins with "+".
Changes = Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Run:
    """One import. `counts` are those of its report, so far or at its end."""

    id: int
    file_name: str
    file_hash: str
    state: str
    counts: Mapping[str, Any]
    started_at: datetime
    finished_at: datetime | None
    undone_at: datetime | None


def get(session: Session, run_id: int) -> Run | None:
    row = session.get(ImportRun, run_id, populate_existing=True)
    return None if row is None else _run(row)


def newest(session: Session, *, before_id: int | None = None, limit: int = 20) -> list[Run]:
    """Newest first; `before_id` is the last id of the page before."""
    query = select(ImportRun).order_by(ImportRun.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(ImportRun.id < before_id)
    return [_run(row) for row in session.scalars(query)]


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


def resume(session: Session, run_id: int) -> None:
    """An import that was cut short goes on under its own number."""
    session.execute(
        update(ImportRun).where(ImportRun.id == run_id).values(state=RUNNING, finished_at=None)
    )


def finish(
    session: Session, run_id: int, *, counts: Mapping[str, Any], at: datetime, state: str = DONE
) -> None:
    session.execute(
        update(ImportRun)
        .where(ImportRun.id == run_id)
        .values(state=state, counts=dict(counts), finished_at=at)
    )


def set_state(
    session: Session, run_id: int, state: str, *, among: Collection[str], at: datetime | None = None
) -> bool:
    """Compare and set. False when the import is in none of the states `among`."""
    values: dict[str, Any] = {"state": state} | ({"undone_at": at} if state == UNDONE else {})
    found = session.execute(
        update(ImportRun).where(ImportRun.id == run_id, ImportRun.state.in_(among)).values(values)
    )
    return bool(getattr(found, "rowcount", 0))


def note_changes(session: Session, run_id: int, rows: Sequence[tuple[int, Changes]]) -> None:
    """What the import changed of leads that were there before it."""
    if rows:
        columns = ("import_run_id", "lead_id", "changes")
        add_rows(
            session,
            ImportChange,
            columns,
            (
                (run_id, lead_id, {k: list(v) for k, v in changes.items()})
                for lead_id, changes in rows
            ),
        )


def did(session: Session, run_id: int, lead_ids: Sequence[int]) -> tuple[set[int], set[int]]:
    """Which of these leads the import created, and which it changed, before it was cut short."""
    created: set[int] = set()
    changed: set[int] = set()
    for start_ in range(0, len(lead_ids), 5000):
        part = lead_ids[start_ : start_ + 5000]
        created |= set(
            session.scalars(select(Lead.id).where(Lead.id.in_(part), Lead.import_run_id == run_id))
        )
        changed |= set(
            session.scalars(
                select(ImportChange.lead_id).where(
                    ImportChange.import_run_id == run_id, ImportChange.lead_id.in_(part)
                )
            )
        )
    return created, changed


def last_done(session: Session, file_hash: str) -> datetime | None:
    """When exactly this content was last imported to the end."""
    return session.scalar(
        select(ImportRun.finished_at)
        .where(ImportRun.file_hash == file_hash, ImportRun.state == "done")
        .order_by(ImportRun.id.desc())
        .limit(1)
    )


def _run(row: ImportRun) -> Run:
    return Run(
        row.id,
        row.file_name,
        row.file_hash,
        row.state,
        row.counts,
        row.started_at,
        row.finished_at,
        row.undone_at,
    )
