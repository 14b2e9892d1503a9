"""What leads chose about how often and about what they are written to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import update

from pigeonry.store.models import Lead, Preference
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class Preferences:
    """`weekly_cap` 0: as the sender sees fit."""

    paused_until: datetime | None = None
    weekly_cap: int = 0
    topics: Mapping[str, bool] = field(default_factory=dict)


def get(session: Session, lead_id: int) -> Preferences:
    row = session.get(Preference, lead_id)
    if row is None:
        return Preferences()
    return Preferences(row.paused_until, row.weekly_cap, dict(row.topics))


def put(session: Session, lead_id: int, chosen: Preferences, *, at: datetime) -> None:
    """Replace what the lead chose before. Hold the lead's row (`consents.lock_addresses`) meanwhile."""
    row = session.get(Preference, lead_id)
    if row is None:
        row = Preference(lead_id=lead_id)
        session.add(row)
    row.paused_until = chosen.paused_until
    row.weekly_cap = chosen.weekly_cap
    row.topics = dict(chosen.topics)
    row.updated_at = at
    session.flush()


def set_language(session: Session, lead_id: int, language: str, *, at: datetime) -> None:
    """The lead's language by its own choice. Its profile has to be looked at again."""
    session.execute(
        update(Lead)
        .where(Lead.id == lead_id)
        .values(language=language, content_hash=None, updated_at=at)
    )
