"""Running the thing: background jobs, operators, their tokens, and the hash-chained audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from pigeonry.store.base import Base, BigId, Json, UtcDateTime, code, key, label, long, moment


class Job(Base):
    """Something that was asked for and is done later by whoever has time."""

    __tablename__ = "job"

    id: Mapped[key]
    kind: Mapped[code]
    state: Mapped[code]
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    result: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[moment]
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Instance(Base):
    """A home that sent from this database. `epoch` grows with every sender that starts, here and in the
    home's own marker: when they differ, one of the two was copied or restored."""

    __tablename__ = "instance"

    home: Mapped[str] = mapped_column(String(32), primary_key=True)
    epoch: Mapped[int] = mapped_column(BigId)
    # Keyed hash of machine and folder: a copied home is another place.
    place: Mapped[str] = mapped_column(String(64))
    seen_at: Mapped[moment]
    created_at: Mapped[moment]


class Hold(Base):
    """Why nothing may leave until an operator has confirmed. Open while `lifted_at` is null."""

    __tablename__ = "hold"
    __table_args__ = (Index("ix_hold_lifted_at", "lifted_at"),)

    id: Mapped[key]
    reason: Mapped[long]
    since: Mapped[moment]
    lifted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    lifted_by: Mapped[label]


class Operator(Base):
    """A person who may sign in."""

    __tablename__ = "operator"

    id: Mapped[key]
    email: Mapped[str] = mapped_column(String(320), unique=True)
    role: Mapped[code]
    password_hash: Mapped[label]
    created_at: Mapped[moment]
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ApiToken(Base):
    """A token of an operator; only the hash of its secret is kept."""

    __tablename__ = "api_token"

    id: Mapped[key]
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id"))
    name: Mapped[label]
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(Json)
    created_at: Mapped[moment]
    expires_at: Mapped[moment]
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Audit(Base):
    """Who did what. `hash` covers the row and the hash before it, so that no row can be taken out."""

    __tablename__ = "audit"

    id: Mapped[key]
    at: Mapped[moment]
    actor: Mapped[label]
    action: Mapped[code]
    subject: Mapped[label]
    detail: Mapped[dict[str, Any]] = mapped_column(Json)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
