"""What leads chose about how often and about what they are written to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from pigeonry.store.models import DeclinedTopic, Lead, Preference
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class Preferences:
    """`weekly_cap` 0: as the sender sees fit."""

    paused_until: datetime | None = None
    weekly_cap: int = 0
    declined: frozenset[str] = frozenset()


def get(session: Session, lead_id: int) -> Preferences:
    row = session.get(Preference, lead_id)
    if row is None:
        return Preferences()
    declined = select(DeclinedTopic.topic).where(DeclinedTopic.lead_id == lead_id)
    return Preferences(row.paused_until, row.weekly_cap, frozenset(session.scalars(declined)))


def put(session: Session, lead_id: int, chosen: Preferences, *, at: datetime) -> None:
    """Replace what the lead chose before. Hold the lead's row (`consents.lock_addresses`) meanwhile."""
    row = session.get(Preference, lead_id)
    if row is None:
        row = Preference(lead_id=lead_id)
        session.add(row)
    row.paused_until = chosen.paused_until
    row.weekly_cap = chosen.weekly_cap
    row.updated_at = at
    session.flush()
    _decline(session, lead_id, chosen.declined)


def _decline(session: Session, lead_id: int, topics: Iterable[str]) -> None:
    session.execute(delete(DeclinedTopic).where(DeclinedTopic.lead_id == lead_id))
    session.add_all(DeclinedTopic(lead_id=lead_id, topic=topic) for topic in sorted(topics))
    session.flush()


def set_language(session: Session, lead_id: int, language: str, *, at: datetime) -> None:
    """The lead's language by its own choice. Its profile has to be looked at again."""
    session.execute(
        update(Lead)
        .where(Lead.id == lead_id)
        .values(language=language, content_hash=None, updated_at=at)
    )
