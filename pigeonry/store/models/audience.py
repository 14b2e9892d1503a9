"""Who: leads, what they agreed to, who must never be written to, vectors and segments."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pigeonry.store.base import Base, BigId, Json, UtcDateTime, blob, code, key, label, long, moment


class Lead(Base):
    """A person. Unique by canonical address; "" means not stated."""

    __tablename__ = "lead"
    __table_args__ = (
        UniqueConstraint("email"),
        Index("ix_lead_address_hash", "address_hash"),
        Index("ix_lead_external_id", "external_id"),
        Index("ix_lead_segment_id", "segment_id"),
    )

    id: Mapped[key]
    email: Mapped[str] = mapped_column(String(320))
    first_name: Mapped[label]
    last_name: Mapped[label]
    company: Mapped[label]
    phone: Mapped[code]
    language: Mapped[str] = mapped_column(String(8))
    country: Mapped[label]
    city: Mapped[label]
    timezone: Mapped[label]
    external_id: Mapped[label]
    attributes: Mapped[dict[str, Any]] = mapped_column(Json)
    # Keyed hash of the address: suppression is looked up with it in one query.
    address_hash: Mapped[str] = mapped_column(String(64))
    # Hash of what is embedded: a changed profile is found by comparing it with lead_vector.
    content_hash: Mapped[str | None] = mapped_column(String(64), index=True)
    segment_id: Mapped[int | None] = mapped_column(ForeignKey("segment.id"))
    # The import that created it; no foreign key: SQLite adds a column in place only without one.
    import_run_id: Mapped[int | None] = mapped_column(BigId)
    created_at: Mapped[moment]
    updated_at: Mapped[moment]


class Consent(Base):
    """What was agreed. The newest row of a lead and purpose counts, and withdrawal beats a grant
    unless the grant came later from the person (never from an import)."""

    __tablename__ = "consent"
    __table_args__ = (Index("ix_consent_lead_id_purpose", "lead_id", "purpose"),)

    id: Mapped[key]
    lead_id: Mapped[int] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"))
    purpose: Mapped[code]
    state: Mapped[code]
    basis: Mapped[code]
    source: Mapped[label]
    proof: Mapped[long]
    # Version of the text that was agreed to (`consent_text`), "" when nobody recorded it.
    text_version: Mapped[str] = mapped_column(String(16), server_default="")
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    at: Mapped[moment]


class ConsentText(Base):
    """The words that people agreed to; the version is the first 16 hex digits of their SHA-256."""

    __tablename__ = "consent_text"

    version: Mapped[str] = mapped_column(String(16), primary_key=True)
    language: Mapped[str] = mapped_column(String(8))
    text: Mapped[long]
    created_at: Mapped[moment]


class Preference(Base):
    """What a lead chose on the preference page; no row: nothing was chosen."""

    __tablename__ = "preference"

    lead_id: Mapped[int] = mapped_column(
        ForeignKey("lead.id", ondelete="CASCADE"), primary_key=True
    )
    paused_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    weekly_cap: Mapped[int]  # mails in 7 days; 0: what the sender allows
    updated_at: Mapped[moment]


class DeclinedTopic(Base):
    """A topic that a lead wants no mail about: a campaign of that topic passes it by."""

    __tablename__ = "declined_topic"

    lead_id: Mapped[int] = mapped_column(
        ForeignKey("lead.id", ondelete="CASCADE"), primary_key=True
    )
    topic: Mapped[str] = mapped_column(String(80), primary_key=True)


class Suppression(Base):
    """An address that must never be written to again. Keyed hash only, so it survives erasure."""

    __tablename__ = "suppression"

    address_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[code]
    source: Mapped[label]
    at: Mapped[moment]


class ImportRun(Base):
    """One file that was imported: what was in it and what became of it."""

    __tablename__ = "import_run"
    __table_args__ = (Index("ix_import_run_file_hash", "file_hash"),)

    id: Mapped[key]
    file_name: Mapped[label]
    file_hash: Mapped[str] = mapped_column(String(64))
    state: Mapped[code]
    counts: Mapped[dict[str, Any]] = mapped_column(Json)
    started_at: Mapped[moment]
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    undone_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class LeadVector(Base):
    """A vector by content, not by person: leads with the same profile share one. float32, little-endian."""

    __tablename__ = "lead_vector"

    content_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    embedder: Mapped[str] = mapped_column(String(200), primary_key=True)
    vector: Mapped[blob]


class Segment(Base):
    """A group with an id that stays the same from fit to fit. `centroid` is float32, little-endian."""

    __tablename__ = "segment"

    id: Mapped[key]
    name: Mapped[label]
    description: Mapped[long]
    terms: Mapped[list[str]] = mapped_column(Json)
    size: Mapped[int]
    embedder: Mapped[label]
    model_version: Mapped[code]
    centroid: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[moment]
    retired_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class SegmentMember(Base):
    """Which model put a lead into which segment, and how far from its centre (cosine)."""

    __tablename__ = "segment_member"

    lead_id: Mapped[int] = mapped_column(
        ForeignKey("lead.id", ondelete="CASCADE"), primary_key=True
    )
    segment_id: Mapped[int] = mapped_column(ForeignKey("segment.id"), index=True)
    model_version: Mapped[code]
    similarity: Mapped[float]
    at: Mapped[moment]
