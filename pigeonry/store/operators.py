"""Queries about operators and what they sign in with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, select, update

from pigeonry.domain.operator import Operator, Role
from pigeonry.store.models import Operator as Row
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a sign-in is checked against. `totp` is encrypted, `recovery` are hashes."""

    operator: Operator
    password_hash: str
    totp: bytes | None
    totp_step: int
    recovery: tuple[str, ...]


def any_operator(session: Session) -> bool:
    return bool(session.scalar(select(exists().where(Row.password_hash != ""))))


def every(session: Session) -> list[Operator]:
    return [_operator(row) for row in session.scalars(select(Row).order_by(Row.id))]


def by_id(session: Session, operator_id: int) -> Operator | None:
    row = session.get(Row, operator_id, populate_existing=True)
    return None if row is None else _operator(row)


def by_email(session: Session, email: str) -> Operator | None:
    row = session.scalar(select(Row).where(Row.email == email))
    return None if row is None else _operator(row)


def credentials(session: Session, email: str) -> Credentials | None:
    row = session.scalar(select(Row).where(Row.email == email))
    return None if row is None else _credentials(row)


def credentials_of(session: Session, operator_id: int) -> Credentials | None:
    row = session.get(Row, operator_id, populate_existing=True)
    return None if row is None else _credentials(row)


def add(session: Session, *, name: str, email: str, role: Role, at: datetime) -> Operator:
    row = Row(name=name, email=email, role=role.value, password_hash="", created_at=at)
    session.add(row)
    session.flush()
    return _operator(row)


def set_password(session: Session, operator_id: int, password_hash: str) -> None:
    _set(session, operator_id, password_hash=password_hash)


def set_role(session: Session, operator_id: int, role: Role) -> None:
    _set(session, operator_id, role=role.value)


def set_disabled(session: Session, operator_id: int, at: datetime | None) -> None:
    _set(session, operator_id, disabled_at=at)


def set_signed_in(session: Session, operator_id: int, at: datetime) -> None:
    _set(session, operator_id, signed_in_at=at)


def set_second_factor(
    session: Session, operator_id: int, totp: bytes | None, recovery: list[str]
) -> None:
    _set(session, operator_id, totp=totp, totp_step=0, recovery=recovery)


def use_totp_step(session: Session, operator_id: int, step: int) -> bool:
    """Mark a time step as used; False when it, or a later one, was used before."""
    changed = session.execute(
        update(Row).where(Row.id == operator_id, Row.totp_step < step).values(totp_step=step)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def set_recovery(session: Session, operator_id: int, recovery: list[str]) -> None:
    _set(session, operator_id, recovery=recovery)


def others_who_administer(session: Session, operator_id: int) -> int:
    """Operators beside this one who can sign in as admin."""
    return (
        session.scalar(
            select(func.count())
            .select_from(Row)
            .where(
                Row.id != operator_id,
                Row.role == Role.ADMIN.value,
                Row.disabled_at.is_(None),
                Row.password_hash != "",
            )
        )
        or 0
    )


def _set(session: Session, operator_id: int, **values: object) -> None:
    session.execute(update(Row).where(Row.id == operator_id).values(**values))


def _operator(row: Row) -> Operator:
    return Operator(
        row.id,
        row.name,
        row.email,
        Role(row.role),
        row.created_at,
        row.disabled_at,
        row.signed_in_at,
        bool(row.password_hash),
        row.totp is not None,
    )


def _credentials(row: Row) -> Credentials:
    return Credentials(
        _operator(row), row.password_hash, row.totp, row.totp_step, tuple(row.recovery)
    )
