"""Queries about the API's tokens, and what a repeated creation was answered with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, select, update

from pigeonry.domain.operator import ApiToken, Scope
from pigeonry.store.bulk import insert_ignoring
from pigeonry.store.models import ApiAnswer
from pigeonry.store.models import ApiToken as Row
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class Answer:
    request_hash: str
    status: int
    made: str


def add(
    session: Session,
    *,
    operator_id: int,
    name: str,
    prefix: str,
    secret_hash: str,
    scopes: tuple[Scope, ...],
    at: datetime,
    expires_at: datetime,
) -> ApiToken:
    row = Row(
        operator_id=operator_id,
        name=name[:200],
        prefix=prefix,
        secret_hash=secret_hash,
        scopes=[scope.value for scope in scopes],
        created_at=at,
        expires_at=expires_at,
    )
    session.add(row)
    session.flush()
    return _token(row)


def every(session: Session) -> list[ApiToken]:
    return [_token(row) for row in session.scalars(select(Row).order_by(Row.id.desc()))]


def with_secret(session: Session, prefix: str) -> tuple[ApiToken, str] | None:
    """A token and the hash of its secret."""
    row = session.scalar(select(Row).where(Row.prefix == prefix))
    return None if row is None else (_token(row), row.secret_hash)


def used(session: Session, token_id: int, at: datetime) -> None:
    session.execute(update(Row).where(Row.id == token_id).values(last_used_at=at))


def revoke(session: Session, token_id: int, at: datetime) -> bool:
    changed = session.execute(
        update(Row).where(Row.id == token_id, Row.revoked_at.is_(None)).values(revoked_at=at)
    )
    return bool(changed.rowcount)  # type: ignore[attr-defined]


def answer(session: Session, token_id: int, key: str) -> Answer | None:
    row = session.get(ApiAnswer, (token_id, key), populate_existing=True)
    return None if row is None else Answer(row.request_hash, row.status, row.made)


def take_key(session: Session, token_id: int, key: str, said: Answer, at: datetime) -> bool:
    """Make the key ours; False when it was taken before, by whichever process."""
    taken = session.execute(
        insert_ignoring(session, ApiAnswer)
        .values(
            api_token_id=token_id,
            key=key,
            request_hash=said.request_hash,
            status=said.status,
            made=said.made,
            created_at=at,
        )
        .returning(ApiAnswer.key)
    )
    return taken.first() is not None


def settle_answer(session: Session, token_id: int, key: str, status: int, made: str) -> None:
    session.execute(
        update(ApiAnswer)
        .where(ApiAnswer.api_token_id == token_id, ApiAnswer.key == key)
        .values(status=status, made=made)
    )


def drop_answer(session: Session, token_id: int, key: str) -> None:
    session.execute(
        delete(ApiAnswer).where(ApiAnswer.api_token_id == token_id, ApiAnswer.key == key)
    )


def forget_answers(session: Session, before: datetime) -> None:
    session.execute(delete(ApiAnswer).where(ApiAnswer.created_at < before))


def _token(row: Row) -> ApiToken:
    return ApiToken(
        row.id,
        row.operator_id,
        row.name,
        row.prefix,
        tuple(Scope(scope) for scope in row.scopes),
        row.created_at,
        row.expires_at,
        row.revoked_at,
        row.last_used_at,
    )
