"""The audit trail: who did what. Ids and counts, never names or addresses."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pigeonry.config import Home
from pigeonry.domain.operator import AuditEntry
from pigeonry.store import audit as store
from pigeonry.store.session import Database, Session

KEY = "audit.key"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the trail is whole. Keep `last_hash` somewhere else: with it, rows that somebody took off
    the end are missed too."""

    entries: int
    last_hash: str
    broken_at: int | None = None
    why: str = ""

    @property
    def whole(self) -> bool:
        return self.broken_at is None


def record(
    db: Database,
    home: Home,
    *,
    actor: str,
    action: str,
    subject: str = "",
    now: datetime,
    **detail: str | int | bool,
) -> None:
    """Write one entry in a transaction of its own."""
    with db.write() as session:
        note(session, home, actor=actor, action=action, subject=subject, now=now, **detail)


def note(
    session: Session,
    home: Home,
    *,
    actor: str,
    action: str,
    subject: str = "",
    now: datetime,
    **detail: str | int | bool,
) -> None:
    """Write one entry together with what it is about: for a service that has a session open."""
    store.append(
        session,
        home.secret(KEY),
        at=now,
        actor=actor,
        action=action,
        subject=subject,
        detail=detail,
    )


def verify(db: Database, home: Home, *, expected: str = "") -> Verdict:
    """Read the whole chain again. `expected` is a hash that was noted earlier and has to be in it."""
    key = home.secret(KEY)
    previous, count, met = store.BEFORE_THE_FIRST, 0, not expected
    with db.read() as session:
        for entry in store.oldest_first(session):
            if entry.previous_hash != previous:
                return Verdict(count, previous, entry.id, "the entry before it is missing")
            if store.seal(key, entry) != entry.hash:
                return Verdict(count, previous, entry.id, "it was changed, or sealed elsewhere")
            previous, count = entry.hash, count + 1
            met = met or entry.hash == expected
    if not met:
        return Verdict(count, previous, 0, "the entry that was noted is not there any more")
    return Verdict(count, previous)


def newest(db: Database, *, before: int = 0, limit: int = 50, action: str = "") -> list[AuditEntry]:
    with db.read() as session:
        return store.newest_first(session, before=before, limit=limit, action=action)


def actions(db: Database) -> list[str]:
    with db.read() as session:
        return store.actions(session)
