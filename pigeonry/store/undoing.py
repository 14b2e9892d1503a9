"""Queries that take an import back, a few leads in one transaction. What people decided themselves, what they
were sent, and whatever stops mail to them stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, or_, select

from pigeonry.domain import ConsentState
from pigeonry.domain.message import MessageState
from pigeonry.store import consents, leads
from pigeonry.store.base import Base
from pigeonry.store.leads import LeadFields
from pigeonry.store.models import (
    Consent,
    Event,
    ImportChange,
    Job,
    Lead,
    LeadVector,
    Message,
    SegmentMember,
    Suppression,
)
from pigeonry.store.session import Session

_UNSENT = (MessageState.PLANNED.value, MessageState.CLAIMED.value, MessageState.CANCELLED.value)
# What an import writes itself, and what follows from a lead by computing.
_FOLLOWS = {table.__tablename__ for table in (Consent, ImportChange, SegmentMember)}


@dataclass(slots=True)
class Undone:
    """What became of a batch. `restored` and `changed_since` count fields."""

    looked_at: int = 0
    removed: int = 0
    kept: int = 0
    restored: int = 0
    changed_since: int = 0
    grants_removed: int = 0
    grants_withdrawn: int = 0
    stops_kept: int = 0

    def add(self, other: Undone) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def to_look_at(session: Session, run_id: int) -> int:
    """How many leads an undo has to look at."""
    created = session.scalar(
        select(func.count()).select_from(Lead).where(Lead.import_run_id == run_id)
    )
    changed = session.scalar(
        select(func.count()).select_from(ImportChange).where(ImportChange.import_run_id == run_id)
    )
    return (created or 0) + (changed or 0)


def remove_created(
    session: Session, run_id: int, moment: datetime, *, after_id: int, limit: int, at: datetime
) -> tuple[Undone, int]:
    """Delete the next leads that the import created and nobody and nothing has touched since; also returns
    the last id, 0 when there are no more. `moment` is when the import was: its rows bear it."""
    query = select(Lead.id).where(Lead.import_run_id == run_id, Lead.id > after_id)
    ids = list(session.scalars(query.order_by(Lead.id).limit(limit)))
    if not ids:
        return Undone(), 0
    _lock(session, ids)
    kept = _touched(session, ids, moment)
    gone = [lead_id for lead_id in ids if lead_id not in kept]
    done = Undone(looked_at=len(ids), removed=len(gone), kept=len(kept))
    hashes = select(Lead.address_hash).where(Lead.id.in_(ids))
    stopped = select(func.count()).where(Suppression.address_hash.in_(hashes))
    done.stops_kept = session.scalar(stopped) or 0
    contents = set(
        session.scalars(
            select(Lead.content_hash).where(Lead.id.in_(gone), Lead.content_hash.is_not(None))
        )
    )
    session.execute(delete(Lead).where(Lead.id.in_(gone)))
    if contents:
        shared = select(Lead.id).where(Lead.content_hash == LeadVector.content_hash).exists()
        session.execute(delete(LeadVector).where(LeadVector.content_hash.in_(contents), ~shared))
    _take_back_grants(session, sorted(kept), run_id, moment, done, at)
    return done, ids[-1]


def restore_changed(
    session: Session, run_id: int, moment: datetime, *, limit: int, at: datetime
) -> Undone:
    """Put back the next fields that the import changed and nobody changed since."""
    rows = list(
        session.scalars(
            select(ImportChange)
            .where(ImportChange.import_run_id == run_id)
            .order_by(ImportChange.id.desc())
            .limit(limit)
        )
    )
    done = Undone(looked_at=len(rows))
    if not rows:
        return done
    ids = sorted({row.lead_id for row in rows})
    _lock(session, ids)
    stored = {
        row[0]: LeadFields(*row[1:])
        for row in session.execute(
            select(Lead.id, *(getattr(Lead, name) for name in LeadFields._fields)).where(
                Lead.id.in_(ids)
            )
        )
    }
    before = dict(stored)
    for row in rows:
        stored[row.lead_id] = _put_back(stored[row.lead_id], row.changes, done)
        done.stops_kept += "suppression" in row.changes
    leads.change(session, [(i, stored[i]) for i in ids if stored[i] != before[i]], at)
    granted = {row.lead_id for row in rows if row.changes.get("consent", ["", ""])[1] == "granted"}
    _take_back_grants(session, sorted(granted), run_id, moment, done, at)
    session.execute(delete(ImportChange).where(ImportChange.id.in_([row.id for row in rows])))
    return done


def _put_back(fields: LeadFields, changes: dict[str, Any], done: Undone) -> LeadFields:
    texts: dict[str, str] = {}
    attributes = dict(fields.attributes)
    for name, (before, after) in changes.items():
        if name in ("consent", "suppression"):
            continue
        attribute = name.removeprefix("+") if name.startswith("+") else None
        now = attributes.get(attribute, "") if attribute else getattr(fields, name)
        if now != after:
            done.changed_since += 1
            continue
        done.restored += 1
        if attribute is None:
            texts[name] = before
        elif before:
            attributes[attribute] = before
        else:
            attributes.pop(attribute, None)
    return fields._replace(**texts, attributes=attributes)


def _lock(session: Session, ids: Sequence[int]) -> None:
    """Nobody plans a mail to these people until the commit (Postgres; SQLite has one writer)."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(Lead.id).where(Lead.id.in_(ids)).order_by(Lead.id).with_for_update())


def _touched(session: Session, ids: Sequence[int], moment: datetime) -> set[int]:
    """Those that something happened to since the import: a change, a mail, a lot, an event, a choice."""
    queries = [
        select(Lead.id).where(Lead.id.in_(ids), Lead.updated_at != moment),
        select(Consent.lead_id).where(Consent.lead_id.in_(ids), Consent.at != moment),
        select(Lead.id)
        .join(Event, Event.address_hash == Lead.address_hash)
        .where(Lead.id.in_(ids), Lead.address_hash != ""),
    ]
    for table in Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            if key.column.table.name == "lead" and table.name not in _FOLLOWS:
                queries.append(select(key.parent).where(key.parent.in_(ids)))
    asked = Job.payload["lead_id"].as_integer()
    queries.append(select(asked).where(asked.in_(ids)))
    return {found for query in queries for found in session.scalars(query) if found is not None}


def _take_back_grants(
    session: Session,
    lead_ids: Sequence[int],
    run_id: int,
    moment: datetime,
    done: Undone,
    at: datetime,
) -> None:
    """A consent that only the import stated is gone; where a mail may have left because of it, the row stays
    as its reason and a withdrawal follows it. What the person said since counts as it is."""
    if not lead_ids:
        return
    mailed = set(
        session.scalars(
            select(Message.lead_id).where(
                Message.lead_id.in_(lead_ids),
                or_(Message.state.not_in(_UNSENT), Message.handover_at.is_not(None)),
            )
        )
    )
    for lead_id in lead_ids:
        newest = consents.newest(session, lead_id)
        if newest is None or newest.state is not ConsentState.GRANTED or newest.at != moment:
            continue
        if lead_id in mailed:
            done.grants_withdrawn += 1
            consents.withdraw(session, lead_id, source=f"undo of import {run_id}", proof="", at=at)
        else:
            done.grants_removed += 1
            session.execute(
                delete(Consent).where(
                    Consent.lead_id == lead_id,
                    Consent.at == moment,
                    Consent.state == ConsentState.GRANTED.value,
                )
            )
