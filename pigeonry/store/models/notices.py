"""Notices to other programs of the house: a lead stands in them by number alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pigeonry.store.base import Base, Json, UtcDateTime, code, long, moment
from pigeonry.store.base import key as number


class NoticeAddress(Base):
    """Where notices go. The secret that signs them is encrypted with a key of the home."""

    __tablename__ = "notice_address"

    id: Mapped[number]
    url: Mapped[long]
    kinds: Mapped[list[str]] = mapped_column(Json)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[moment]
    stopped_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Notice(Base):
    """Something that happened, for one address. The unique key makes a second notice of it impossible."""

    __tablename__ = "notice"
    __table_args__ = (
        UniqueConstraint("address_id", "key"),
        Index("ix_notice_state_next_at", "state", "next_at"),
    )

    id: Mapped[number]
    address_id: Mapped[int] = mapped_column(ForeignKey("notice_address.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(120))
    kind: Mapped[code]
    at: Mapped[moment]
    facts: Mapped[dict[str, Any]] = mapped_column(Json)
    state: Mapped[code]
    attempts: Mapped[int]
    next_at: Mapped[moment]
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answer: Mapped[str] = mapped_column(String(200))
