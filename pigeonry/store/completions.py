"""The rows of the exact cache: an accepted answer, or a lease on one that somebody is asking for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pigeonry.store.models import CompletionCache
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    model: str
    response: Mapping[str, Any]
    tokens_in: int
    tokens_out: int
    cost_micros: int


def claim(
    session: Session, key: str, *, owner: str, now: datetime, seconds: float
) -> StoredAnswer | bool:
    """The answer (its hits counted); True when `owner` now holds the lease; False when another does.

    A lease that ran out belongs to whoever comes first: its holder died.
    """
    until = now + timedelta(seconds=seconds)
    empty = {
        "key": key, "model": "", "response": None, "tokens_in": 0, "tokens_out": 0, "cost_micros": 0,
        "hits": 0, "owner": owner, "lease_until": until, "created_at": now,
    }  # fmt: skip
    add = (sqlite if session.get_bind().dialect.name == "sqlite" else postgresql).insert
    added = session.execute(
        add(CompletionCache).values(**empty).on_conflict_do_nothing().returning(CompletionCache.key)
    )
    if added.first() is not None:
        return True
    row = session.scalar(
        select(CompletionCache).where(CompletionCache.key == key).with_for_update()
    )
    if row is None:  # released in between; the caller comes again
        return False
    if row.response is not None:
        row.hits += 1
        return StoredAnswer(row.model, dict(row.response), row.tokens_in, row.tokens_out, row.cost_micros)  # fmt: skip
    if row.lease_until is None or row.lease_until <= now:
        row.owner, row.lease_until = owner, until
        return True
    return False


def keep(session: Session, key: str, answer: StoredAnswer, *, owner: str) -> None:
    """Store an answer and end the lease. A lease that another took over meanwhile is left alone."""
    session.execute(
        update(CompletionCache)
        .where(CompletionCache.key == key, CompletionCache.owner == owner)
        .values(
            model=answer.model,
            response=dict(answer.response),
            tokens_in=answer.tokens_in,
            tokens_out=answer.tokens_out,
            cost_micros=answer.cost_micros,
            lease_until=None,
        )
    )


def release(session: Session, key: str, *, owner: str) -> None:
    """End a lease without an answer."""
    session.execute(
        delete(CompletionCache).where(
            CompletionCache.key == key,
            CompletionCache.owner == owner,
            CompletionCache.lease_until.is_not(None),
        )
    )
