"""Queries about files that somebody uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from pigeonry.store.models import Upload as Row
from pigeonry.store.session import Session

RECEIVED, IMPORTED = "received", "imported"


@dataclass(frozen=True, slots=True)
class Upload:
    """`look` is what was recognised, `choices` what a person decided. `gone_at`: the file is deleted."""

    id: int
    stored: str
    file_name: str
    size: int
    digest: str
    state: str
    look: Mapping[str, Any]
    choices: Mapping[str, Any]
    import_run_id: int | None
    uploaded_by: str
    created_at: datetime
    gone_at: datetime | None


def add(
    session: Session,
    *,
    stored: str,
    file_name: str,
    size: int,
    digest: str,
    look: Mapping[str, Any],
    by: str,
    at: datetime,
) -> Upload:
    row = Row(
        stored=stored, file_name=file_name[:200], size=size, digest=digest, state=RECEIVED,
        look=dict(look), choices={}, uploaded_by=by[:200], created_at=at,
    )  # fmt: skip
    session.add(row)
    session.flush()
    return _upload(row)


def get(session: Session, upload_id: int) -> Upload | None:
    row = session.get(Row, upload_id, populate_existing=True)
    return None if row is None else _upload(row)


def by_run(session: Session, run_id: int) -> Upload | None:
    row = session.scalar(select(Row).where(Row.import_run_id == run_id).limit(1))
    return None if row is None else _upload(row)


def newest(session: Session, *, before_id: int | None = None, limit: int = 20) -> list[Upload]:
    query = select(Row).order_by(Row.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(Row.id < before_id)
    return [_upload(row) for row in session.scalars(query)]


def choose(session: Session, upload_id: int, choices: Mapping[str, Any]) -> None:
    _set(session, upload_id, choices=dict(choices))


def began(session: Session, upload_id: int, run_id: int) -> None:
    _set(session, upload_id, import_run_id=run_id)


def ended(session: Session, upload_id: int) -> None:
    _set(session, upload_id, state=IMPORTED)


def gone(session: Session, upload_id: int, at: datetime) -> None:
    _set(session, upload_id, gone_at=at)


def with_file(session: Session) -> list[Upload]:
    """Those whose file should still be there, oldest first."""
    rows = session.scalars(select(Row).where(Row.gone_at.is_(None)).order_by(Row.id))
    return [_upload(row) for row in rows]


def _set(session: Session, upload_id: int, **values: Any) -> None:
    session.execute(update(Row).where(Row.id == upload_id).values(values))


def _upload(row: Row) -> Upload:
    return Upload(
        row.id,
        row.stored,
        row.file_name,
        row.size,
        row.digest,
        row.state,
        row.look,
        row.choices,
        row.import_run_id,
        row.uploaded_by,
        row.created_at,
        row.gone_at,
    )
