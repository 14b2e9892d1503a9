"""How many hand-overs began lately, by what is limited: counted in slots of time, shared by all senders."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from pigeonry.store.models import SendCount
from pigeonry.store.session import Session

_LOCK = -1  # the slot whose row is locked while somebody counts


def counted(session: Session, scopes: Collection[str]) -> dict[str, dict[int, int]]:
    """scope -> slot -> hand-overs begun in it. The scopes stay locked until the commit, so that two
    senders never count past each other (Postgres; SQLite has one writer)."""
    if not scopes:
        return {}
    if session.get_bind().dialect.name == "postgresql":
        _add(session, [{"scope": scope, "slot": _LOCK, "count": 0} for scope in sorted(scopes)])
    found: dict[str, dict[int, int]] = {scope: {} for scope in scopes}
    rows = session.execute(
        select(SendCount.scope, SendCount.slot, SendCount.count).where(
            SendCount.scope.in_(sorted(scopes)), SendCount.slot != _LOCK
        )
    )
    for scope, slot, count in rows:
        found[scope][slot] = count
    return found


def first_slot(session: Session, scope: str) -> int | None:
    """The oldest slot that is still counted of a scope. Locks nothing."""
    return session.scalar(
        select(func.min(SendCount.slot)).where(SendCount.scope == scope, SendCount.slot != _LOCK)
    )


def add(session: Session, begun: Mapping[tuple[str, int], int]) -> None:
    """Count hand-overs by scope and slot."""
    _add(
        session,
        [
            {"scope": scope, "slot": slot, "count": count}
            for (scope, slot), count in sorted(begun.items())
        ],
    )


def forget(session: Session, before: Sequence[tuple[str, int]]) -> None:
    """Drop the slots of a scope before that one: they have left every window."""
    for scope, slot in before:
        session.execute(_FORGET, {"of_scope": scope, "of_slot": slot})


def _add(session: Session, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    name = session.get_bind().dialect.name
    build: Any = postgresql.insert if name == "postgresql" else sqlite.insert
    statement = build(SendCount)
    session.connection().execute(
        statement.on_conflict_do_update(
            index_elements=[SendCount.scope, SendCount.slot],
            set_={"count": SendCount.count + statement.excluded.count},
        ),
        rows,
    )


_FORGET = delete(SendCount).where(
    SendCount.scope == bindparam("of_scope"),
    SendCount.slot < bindparam("of_slot"),
    SendCount.slot != _LOCK,
)
