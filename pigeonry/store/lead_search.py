"""Finds leads for people who look for one: by address, by name, by whatever a list said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, and_, cast, or_, select

from pigeonry.domain import ConsentState, SuppressionReason
from pigeonry.domain.traces import Traces
from pigeonry.store import consents
from pigeonry.store.models import Lead, Segment
from pigeonry.store.session import Session

_WORDS = 4  # of a search; more only narrow what is found
_LAST = "\U0010ffff"
_TEXTS = (Lead.email, Lead.first_name, Lead.last_name, Lead.company, Lead.phone, Lead.city)


@dataclass(frozen=True, slots=True)
class Found:
    """One lead in a list. `consent` None: nothing was ever said."""

    id: int
    email: str
    name: str
    company: str
    city: str
    segment: str
    consent: ConsentState | None
    suppressed: SuppressionReason | None
    created_at: datetime


def search(
    session: Session, text: str, *, before_id: int | None = None, limit: int = 50
) -> list[Found]:
    """Newest first; `before_id` is the last id of the page before.

    An empty text finds everybody. One with "@" is the beginning of an address; a number may be a lead's or
    another system's. Of anything else every word has to stand somewhere: in the address, a name, the
    company, phone, place or an attribute.
    """
    query = select(Lead).order_by(Lead.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(Lead.id < before_id)
    text = text.strip()
    if "@" in text:
        query = query.where(_begins(session, text.lower()))
    elif text:
        where = and_(*map(_somewhere, text.split()[:_WORDS]))
        if text.isascii() and text.isdecimal() and len(text) < 10:
            where = or_(Lead.id == int(text), Lead.external_id == text, where)
        query = query.where(where)
    return _found(session, list(session.scalars(query)))


def _begins(session: Session, start: str) -> ColumnElement[bool]:
    """By the index on SQLite, where texts are in the order of their bytes."""
    if session.get_bind().dialect.name == "sqlite":
        return and_(Lead.email >= start, Lead.email < start + _LAST)
    return Lead.email.startswith(start, autoescape=True)


def _somewhere(word: str) -> ColumnElement[bool]:
    """SQLite folds the case of ASCII letters only, so a word is looked for as people write it."""
    written = (
        {word, word.lower(), word.capitalize(), word.upper()} if not word.isascii() else {word}
    )
    where: list[Any] = [
        column.icontains(one, autoescape=True) for column in _TEXTS for one in sorted(written)
    ]
    attributes = cast(Lead.attributes, Text)
    for spelled in sorted(
        {spelled for one in written for spelled in (*Traces((one,)).spellings, one)}
    ):
        where.append(attributes.icontains(spelled, autoescape=True))
    return or_(*where)


def _found(session: Session, rows: Sequence[Lead]) -> list[Found]:
    states = consents.consent_states(session, [row.id for row in rows])
    reasons = consents.reasons(session, [row.address_hash for row in rows])
    ids = {row.segment_id for row in rows if row.segment_id is not None}
    names: dict[int, str] = {
        row.id: row.name for row in session.scalars(select(Segment).where(Segment.id.in_(ids)))
    }
    return [
        Found(
            row.id,
            row.email,
            f"{row.first_name} {row.last_name}".strip(),
            row.company,
            row.city,
            names.get(row.segment_id or 0, ""),
            states.get(row.id),
            reasons.get(row.address_hash),
            row.created_at,
        )
        for row in rows
    ]
