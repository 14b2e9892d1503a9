"""Queries about holds, and about the homes that send from this database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, or_, select, update

from pigeonry.domain.message import MessageState
from pigeonry.store.models import Campaign, Hold, Instance, Message
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class OpenHold:
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class InstanceRow:
    home: str
    epoch: int
    place: str
    seen_at: datetime


def current(session: Session) -> OpenHold | None:
    """The oldest hold that nobody has lifted."""
    row = session.scalar(select(Hold).where(Hold.lifted_at.is_(None)).order_by(Hold.id).limit(1))
    return None if row is None else OpenHold(row.reason, row.since)


def raise_hold(session: Session, *, reason: str, at: datetime) -> None:
    """Nothing may leave from the commit on. The same reason twice is one hold."""
    known = exists().where(Hold.lifted_at.is_(None), Hold.reason == reason)
    if not session.scalar(select(known)):
        session.add(Hold(reason=reason, since=at, lifted_by=""))
        session.flush()


def lift(session: Session, *, by: str, at: datetime) -> int:
    """Lift every open hold; returns how many."""
    changed = session.execute(
        update(Hold).where(Hold.lifted_at.is_(None)).values(lifted_at=at, lifted_by=by[:200])
    )
    return int(changed.rowcount)  # type: ignore[attr-defined]


def instance(session: Session, home: str) -> InstanceRow | None:
    row = session.get(Instance, home, populate_existing=True)
    return None if row is None else InstanceRow(row.home, row.epoch, row.place, row.seen_at)


def instances(session: Session) -> int:
    """How many homes ever sent from this database."""
    return session.scalar(select(func.count()).select_from(Instance)) or 0


def last_seen(session: Session) -> datetime | None:
    """When any home last said that it was alive."""
    return session.scalar(select(Instance.seen_at).order_by(Instance.seen_at.desc()).limit(1))


def set_instance(session: Session, row: InstanceRow) -> None:
    session.merge(
        Instance(
            home=row.home,
            epoch=row.epoch,
            place=row.place,
            seen_at=row.seen_at,
            created_at=(
                known.created_at if (known := session.get(Instance, row.home)) else row.seen_at
            ),
        )
    )
    session.flush()


def overdue(session: Session, before: datetime) -> int:
    """Messages that were due before that and still wait, in campaigns that are neither stopped nor done."""
    due = func.coalesce(Message.not_before, Message.planned_at)
    return (
        session.scalar(
            select(func.count())
            .select_from(Message)
            .join(Campaign, Campaign.id == Message.campaign_id)
            .where(
                or_(
                    *(
                        Message.state == state
                        for state in (MessageState.PLANNED, MessageState.CLAIMED)
                    )
                ),
                Campaign.state.in_(("running", "waiting")),
                due < before,
            )
        )
        or 0
    )
