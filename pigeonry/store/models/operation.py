"""Running the thing: background jobs, operators, their tokens, and the hash-chained audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from pigeonry.store.base import Base, BigId, Json, UtcDateTime, code, key, label, long, moment


class Job(Base):
    """Something that was asked for and is done later by whoever has time.

    `attempts` grows with every process that takes it: one that slept through its lease finds another
    number and does nothing.
    """

    __tablename__ = "job"
    __table_args__ = (
        Index("ix_job_kind_state", "kind", "state"),
        Index("ix_job_subject", "subject"),
    )

    id: Mapped[key]
    kind: Mapped[code]
    state: Mapped[code]
    payload: Mapped[dict[str, Any]] = mapped_column(Json)
    result: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[moment]
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # What it works on ("upload:3"): of one kind only one may be open for it.
    subject: Mapped[str] = mapped_column(String(80), server_default="")
    says: Mapped[str] = mapped_column(String(200), server_default="")
    done: Mapped[int] = mapped_column(BigId, server_default="0")
    total: Mapped[int] = mapped_column(BigId, server_default="0")
    asked_by: Mapped[str] = mapped_column(String(200), server_default="")
    owner: Mapped[str] = mapped_column(String(200), server_default="")
    attempts: Mapped[int] = mapped_column(server_default="0")
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    cancel_asked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


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
    """A person who may sign in. Without a password they have not followed their link yet."""

    __tablename__ = "operator"

    id: Mapped[key]
    email: Mapped[str] = mapped_column(String(320), unique=True)
    name: Mapped[label] = mapped_column(server_default="")
    role: Mapped[code]
    password_hash: Mapped[label]
    created_at: Mapped[moment]
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    signed_in_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The second factor: its secret, encrypted with a key of the home; the last time step that was used
    # (a code counts once); hashes of recovery codes that are left.
    totp: Mapped[bytes | None] = mapped_column(LargeBinary)
    totp_step: Mapped[int] = mapped_column(BigId, server_default="0")
    recovery: Mapped[list[str]] = mapped_column(Json, server_default="[]")


class SignIn(Base):
    """A browser that somebody signed in with. The cookie holds what `id_hash` is the hash of."""

    __tablename__ = "sign_in"

    id_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    operator_id: Mapped[int] = mapped_column(
        ForeignKey("operator.id", ondelete="CASCADE"), index=True
    )
    created_at: Mapped[moment]
    seen_at: Mapped[moment]
    expires_at: Mapped[moment]
    network: Mapped[str] = mapped_column(String(45))
    agent: Mapped[label]


class SetupLink(Base):
    """A link that lets its holder set a password, once. Without an operator: the very first one."""

    __tablename__ = "setup_link"

    token_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    operator_id: Mapped[int | None] = mapped_column(ForeignKey("operator.id", ondelete="CASCADE"))
    created_at: Mapped[moment]
    expires_at: Mapped[moment]
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Throttle(Base):
    """Failed attempts by a keyed hash of the account or of the network."""

    __tablename__ = "throttle"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    failures: Mapped[int]
    since: Mapped[moment]


class ApiToken(Base):
    """A token of an operator; only the hash of its secret is kept."""

    __tablename__ = "api_token"
    __table_args__ = (Index("ix_api_token_prefix", "prefix", unique=True),)

    id: Mapped[key]
    operator_id: Mapped[int] = mapped_column(ForeignKey("operator.id"))
    name: Mapped[label]
    prefix: Mapped[str] = mapped_column(String(16), server_default="")
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    scopes: Mapped[list[str]] = mapped_column(Json)
    created_at: Mapped[moment]
    expires_at: Mapped[moment]
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class ApiAnswer(Base):
    """What a creation was answered with, so that the same idempotency key gets it again: the status and
    the id of what was made, nothing of its content."""

    __tablename__ = "api_answer"

    api_token_id: Mapped[int] = mapped_column(
        ForeignKey("api_token.id", ondelete="CASCADE"), primary_key=True
    )
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    request_hash: Mapped[str] = mapped_column(String(64))
    status: Mapped[int]
    made: Mapped[label]
    created_at: Mapped[moment]


class Audit(Base):
    """Who did what. `hash` covers the row and the hash before it, so that no row can be taken out.
    Triggers refuse to change or delete a row."""

    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_previous_hash", "previous_hash", unique=True),)

    id: Mapped[key]
    at: Mapped[moment]
    actor: Mapped[label]
    action: Mapped[code]
    subject: Mapped[label]
    detail: Mapped[dict[str, Any]] = mapped_column(Json)
    previous_hash: Mapped[str] = mapped_column(String(64))
    hash: Mapped[str] = mapped_column(String(64), unique=True)
