"""Contacts of CRMs: which lead each one is, how new what we know of it is, and what was not taken."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pigeonry.store.base import Base, BigId, Json, UtcDateTime, code, key, label, long, moment


class CrmContact(Base):
    """A contact of a CRM. It is known by the keyed hash of its number there, which stays when the person is
    erased, so that later news of it is known to be unwelcome; the number itself goes."""

    __tablename__ = "crm_contact"
    __table_args__ = (
        UniqueConstraint("source", "external_hash"),
        Index("ix_crm_contact_lead_id", "lead_id"),
        Index("ix_crm_contact_waiting_since", "waiting_since"),
    )

    id: Mapped[key]
    source: Mapped[code]
    external_hash: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[label]
    lead_id: Mapped[int | None] = mapped_column(ForeignKey("lead.id", ondelete="SET NULL"))
    # field -> [revision, digest of the value]: what is older changes nothing.
    stamps: Mapped[dict[str, Any]] = mapped_column(Json)
    # Milliseconds since 1970, 0 for never. Deleted while the first is larger than the second.
    deleted: Mapped[int] = mapped_column(BigId)
    restored: Mapped[int] = mapped_column(BigId)
    # Hash of the contact that this one became, "" for none.
    merged_into: Mapped[str] = mapped_column(String(64))
    # Since when its lead waits for a segment and for what rules start; null: it does not.
    waiting_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[moment]


class CrmRefusal(Base):
    """News that was not taken, for a person to look at."""

    __tablename__ = "crm_refusal"
    __table_args__ = (Index("ix_crm_refusal_lead_id", "lead_id"),)

    id: Mapped[key]
    source: Mapped[code]
    raw_event_id: Mapped[int | None] = mapped_column(BigId)
    external_hash: Mapped[str] = mapped_column(String(64))
    external_id: Mapped[label]
    lead_id: Mapped[int | None] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"))
    kind: Mapped[code]
    detail: Mapped[long]
    at: Mapped[moment]


class CrmSeen(Base):
    """Ids of news that was looked at: a keyed hash, and a digest of what was said under it."""

    __tablename__ = "crm_seen"
    __table_args__ = (Index("ix_crm_seen_at", "at"),)

    source: Mapped[str] = mapped_column(String(40), primary_key=True)
    event_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    at: Mapped[moment]
