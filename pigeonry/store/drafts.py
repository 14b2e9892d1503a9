"""Queries about briefs that are being written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from pigeonry.errors import NotFound, Refused
from pigeonry.store.models import BriefDraft
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class DraftRow:
    """A draft as stored. `campaign_id`: the newest campaign made from it."""

    id: int
    name: str
    source: str
    version: int
    campaign_id: int | None
    updated_by: str
    created_at: datetime
    updated_at: datetime


def add(session: Session, *, name: str, source: str, by: str, at: datetime) -> int:
    row = BriefDraft(
        name=name[:200], source=source, version=1, updated_by=by[:200], created_at=at, updated_at=at
    )
    session.add(row)
    session.flush()
    return row.id


def get(session: Session, draft_id: int) -> DraftRow:
    """Raises NotFound."""
    row = session.get(BriefDraft, draft_id, populate_existing=True)
    if row is None:
        raise NotFound(
            "no such brief", where=f"brief {draft_id}", fix="the list of briefs shows what there is"
        )
    return _row(row)


def every(session: Session, *, limit: int = 200, before: int | None = None) -> list[DraftRow]:
    """The newest drafts by number; pass the last one's number to get the page after it."""
    query = select(BriefDraft).order_by(BriefDraft.id.desc()).limit(limit)
    if before is not None:
        query = query.where(BriefDraft.id < before)
    return [_row(row) for row in session.scalars(query)]


def of_campaign(session: Session, campaign_id: int) -> int | None:
    """The draft whose newest campaign this is."""
    return session.scalar(select(BriefDraft.id).where(BriefDraft.campaign_id == campaign_id))


def change(
    session: Session,
    draft_id: int,
    *,
    name: str,
    source: str,
    version: int,
    by: str,
    at: datetime,
) -> int:
    """Save over `version`; returns the new one. Raises Refused when somebody has saved meanwhile."""
    changed = session.connection().execute(
        update(BriefDraft)
        .where(BriefDraft.id == draft_id, BriefDraft.version == version)
        .values(name=name[:200], source=source, version=version + 1, updated_by=by[:200],
                updated_at=at)
    )  # fmt: skip
    if not changed.rowcount:
        known = get(session, draft_id)
        raise Refused(
            f"{known.updated_by or 'somebody'} has saved this brief since you opened it",
            where=f"brief {draft_id}",
            fix="open it again in another tab and take over what you changed",
        )
    return version + 1


def set_campaign(session: Session, draft_id: int, campaign_id: int) -> None:
    session.execute(
        update(BriefDraft).where(BriefDraft.id == draft_id).values(campaign_id=campaign_id)
    )


def remove(session: Session, draft_id: int) -> None:
    session.execute(delete(BriefDraft).where(BriefDraft.id == draft_id))


def _row(row: BriefDraft) -> DraftRow:
    return DraftRow(
        id=row.id,
        name=row.name,
        source=row.source,
        version=row.version,
        campaign_id=row.campaign_id,
        updated_by=row.updated_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
