"""Queries about sign-ins, one-time links, and failed attempts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, or_, select, update

from pigeonry.domain.operator import SignIn
from pigeonry.store.bulk import insert_ignoring
from pigeonry.store.models import SetupLink, Throttle
from pigeonry.store.models import SignIn as Row
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class Link:
    """A one-time link that is still good. Without an operator it makes the first one."""

    operator_id: int | None
    expires_at: datetime


def add(session: Session, row: SignIn) -> None:
    session.add(
        Row(
            id_hash=row.id_hash,
            operator_id=row.operator_id,
            created_at=row.created_at,
            seen_at=row.seen_at,
            expires_at=row.expires_at,
            network=row.network[:45],
            agent=row.agent[:200],
        )
    )
    session.flush()


def find(session: Session, id_hash: str) -> SignIn | None:
    row = session.get(Row, id_hash, populate_existing=True)
    return None if row is None else _sign_in(row)


def of(session: Session, operator_id: int) -> list[SignIn]:
    rows = session.scalars(
        select(Row).where(Row.operator_id == operator_id).order_by(Row.seen_at.desc())
    )
    return [_sign_in(row) for row in rows]


def seen(session: Session, id_hash: str, at: datetime) -> None:
    session.execute(update(Row).where(Row.id_hash == id_hash).values(seen_at=at))


def end(session: Session, id_hash: str) -> None:
    session.execute(delete(Row).where(Row.id_hash == id_hash))


def end_all(session: Session, operator_id: int, *, but: str = "") -> int:
    """End every sign-in of an operator; returns how many."""
    ended = session.execute(delete(Row).where(Row.operator_id == operator_id, Row.id_hash != but))
    return int(ended.rowcount)  # type: ignore[attr-defined]


def forget_old(session: Session, *, now: datetime, idle_since: datetime) -> None:
    """Take away what can never be used again."""
    session.execute(delete(Row).where(or_(Row.expires_at < now, Row.seen_at < idle_since)))
    session.execute(delete(SetupLink).where(SetupLink.expires_at < now))


def add_link(
    session: Session,
    token_hash: str,
    *,
    operator_id: int | None,
    at: datetime,
    expires_at: datetime,
) -> None:
    """A new link; those made before for the same purpose stop working."""
    same = (
        SetupLink.operator_id.is_(None)
        if operator_id is None
        else SetupLink.operator_id == operator_id
    )
    session.execute(delete(SetupLink).where(same))
    session.add(
        SetupLink(
            token_hash=token_hash, operator_id=operator_id, created_at=at, expires_at=expires_at
        )
    )
    session.flush()


def find_link(session: Session, token_hash: str, now: datetime) -> Link | None:
    row = session.get(SetupLink, token_hash, populate_existing=True)
    if row is None or row.used_at is not None or row.expires_at <= now:
        return None
    return Link(row.operator_id, row.expires_at)


def use_link(session: Session, token_hash: str, now: datetime) -> bool:
    """Take the link; only one caller ever gets True."""
    changed = session.execute(
        update(SetupLink)
        .where(
            SetupLink.token_hash == token_hash,
            SetupLink.used_at.is_(None),
            SetupLink.expires_at > now,
        )
        .values(used_at=now)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def failures(session: Session, key: str, since: datetime) -> int:
    """Failed attempts in the stretch that began after `since`."""
    row = session.get(Throttle, key, populate_existing=True)
    return row.failures if row is not None and row.since > since else 0


def add_failure(session: Session, key: str, *, now: datetime, since: datetime) -> None:
    session.execute(delete(Throttle).where(Throttle.since <= since))
    # Two processes may meet at a new key: the second one's row is left out, both are counted.
    session.execute(insert_ignoring(session, Throttle).values(key=key, failures=0, since=now))
    session.execute(
        update(Throttle).where(Throttle.key == key).values(failures=Throttle.failures + 1)
    )


def forget_failures(session: Session, key: str) -> None:
    session.execute(delete(Throttle).where(Throttle.key == key))


def _sign_in(row: Row) -> SignIn:
    return SignIn(
        row.id_hash,
        row.operator_id,
        row.created_at,
        row.seen_at,
        row.expires_at,
        row.network,
        row.agent,
    )
