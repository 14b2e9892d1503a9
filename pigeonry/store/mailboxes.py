"""How far a mailbox has been read: one job row for each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from pigeonry.store.models import Job
from pigeonry.store.session import Session

_KIND = "mailbox"


@dataclass(frozen=True, slots=True)
class Place:
    """The last mail that is stored. UIDs mean something only together with the folder's `validity`."""

    validity: int = 0
    uid: int = 0


def place(session: Session, name: str) -> Place:
    row = _row(session, name)
    return Place(**row.result) if row else Place()


def move(session: Session, name: str, to: Place, at: datetime) -> None:
    """Call it in the transaction that stores the mails up to there."""
    row = _row(session, name)
    if row is None:
        row = Job(kind=_KIND, state="done", payload={"name": name}, result={}, created_at=at)
        session.add(row)
    row.result = {"validity": to.validity, "uid": to.uid}
    row.finished_at = at
    session.flush()


def _row(session: Session, name: str) -> Job | None:
    rows = session.scalars(select(Job).where(Job.kind == _KIND).order_by(Job.id))
    return next((row for row in rows if row.payload.get("name") == name), None)
