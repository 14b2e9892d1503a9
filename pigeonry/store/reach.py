"""How many leads a campaign's rules reach, and why the others are out. Who may be mailed is `store.leads`'s to say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, exists, func, select

from pigeonry.domain import Language
from pigeonry.store import leads
from pigeonry.store.models import Lead, Suppression
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class Reach:
    """Every lead is counted once: `total` is the sum of the four others. `no_consent` holds those without a
    valid consent and those who declined the topic. `cells`: segment and stated language -> mailable leads."""

    total: int
    elsewhere: int
    suppressed: int
    no_consent: int
    mailable: int
    cells: dict[tuple[int | None, Language | None], int]


def reach(session: Session, *, countries: Sequence[str], topic: str, now: datetime) -> Reach:
    """Count by the rules of a brief, as they stand at `now`."""
    total = leads.count(session)
    within: Select[Any] = select(func.count(Lead.id))
    if countries:
        within = within.where(Lead.country.in_(countries))
    inside = (session.scalar(within) or 0) if countries else total
    blocked = exists().where(Suppression.address_hash == Lead.address_hash)
    suppressed = session.scalar(within.where(blocked)) or 0
    cells = leads.cells(session, countries=countries, topic=topic, now=now)
    mailable = sum(cells.values())
    return Reach(
        total=total,
        elsewhere=total - inside,
        suppressed=suppressed,
        no_consent=max(0, inside - suppressed - mailable),
        mailable=mailable,
        cells=cells,
    )
