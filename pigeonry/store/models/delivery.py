"""Messages with their states, attempts, and the events that come back, raw and normalised."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from pigeonry.store.base import Base, BigId, Json, UtcDateTime, code, key, label, long, moment


class Message(Base):
    """One planned mail. The unique key makes a second plan impossible.

    `epoch` grows with every claim: a sender that slept through its lease finds another number and
    does nothing.
    """

    __tablename__ = "message"
    __table_args__ = (
        UniqueConstraint("lead_id", "campaign_id", "step", "occurrence"),
        UniqueConstraint("send_key"),
        # With the id, so that claiming the next in order never sorts what is left.
        Index("ix_message_campaign_id_state", "campaign_id", "state", "id"),
        Index("ix_message_state_lease_until", "state", "lease_until"),
        Index("ix_message_provider_id", "provider_id"),
        # What left around a moment is evidence about a message that nobody reported.
        Index(
            "ix_message_channel_handover_at",
            "channel",
            "handover_at",
            sqlite_where=text("handover_at IS NOT NULL"),
            postgresql_where=text("handover_at IS NOT NULL"),
        ),
    )

    id: Mapped[key]
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"))
    lead_id: Mapped[int] = mapped_column(ForeignKey("lead.id", ondelete="CASCADE"))
    variant_id: Mapped[int] = mapped_column(ForeignKey("variant.id"))
    step: Mapped[int]
    occurrence: Mapped[str] = mapped_column(String(80))
    wave: Mapped[int]
    send_key: Mapped[str] = mapped_column(String(32))
    # Copied so that the fence can look up suppression without the lead's row.
    address_hash: Mapped[str] = mapped_column(String(64), index=True)
    channel: Mapped[code]
    state: Mapped[code]
    reason: Mapped[long]
    attempts: Mapped[int]
    owner: Mapped[label]
    epoch: Mapped[int]
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    not_before: Mapped[datetime | None] = mapped_column(UtcDateTime)
    handover_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    accepted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    provider_id: Mapped[label]
    # The strongest event so far (lattice of feedback.events); "" before any.
    status: Mapped[code]
    planned_at: Mapped[moment]


class MessageAttempt(Base):
    """One hand-over and what it proved."""

    __tablename__ = "message_attempt"

    id: Mapped[key]
    message_id: Mapped[int] = mapped_column(
        ForeignKey("message.id", ondelete="CASCADE"), index=True
    )
    owner: Mapped[label]
    outcome: Mapped[code]
    reason: Mapped[long]
    provider_id: Mapped[label]
    started_at: Mapped[moment]
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class RawEvent(Base):
    """Bytes as they came, stored before anybody understands them."""

    __tablename__ = "raw_event"
    __table_args__ = (
        UniqueConstraint("source", "body_hash"),
        Index("ix_raw_event_drained_at", "drained_at"),
    )

    id: Mapped[key]
    source: Mapped[code]
    body: Mapped[bytes] = mapped_column(LargeBinary)
    body_hash: Mapped[str] = mapped_column(String(64))
    headers: Mapped[dict[str, Any]] = mapped_column(Json)
    received_at: Mapped[moment]
    drained_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    error: Mapped[long]


RARE = "kind IN ('bounce', 'complaint', 'conversion', 'unsubscribe')"


class Event(Base):
    """One normalised event. Unique by source and the provider's event id."""

    __tablename__ = "event"
    __table_args__ = (
        UniqueConstraint("source", "event_id"),
        Index("ix_event_message_id_kind", "message_id", "kind"),
        Index("ix_event_address_hash", "address_hash"),
        Index("ix_event_raw_event_id", "raw_event_id"),
        # What a dashboard asks for by time; a query has to repeat RARE for SQLite to use it.
        Index("ix_event_rare", "kind", "at", sqlite_where=text(RARE), postgresql_where=text(RARE)),
    )

    id: Mapped[key]
    source: Mapped[code]
    event_id: Mapped[str] = mapped_column(String(128))
    raw_event_id: Mapped[int | None] = mapped_column(ForeignKey("raw_event.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id", ondelete="CASCADE"))
    kind: Mapped[code]
    at: Mapped[moment]
    human: Mapped[float]
    url: Mapped[long]
    user_agent: Mapped[long]
    ip: Mapped[code]
    reason: Mapped[long]
    # What spoke for a machine or a person, in words; "" when the question makes no sense.
    why: Mapped[str] = mapped_column(Text, server_default="")
    # What a conversion brought, millionths of `currency`.
    value_micros: Mapped[int] = mapped_column(BigId, server_default="0")
    currency: Mapped[str] = mapped_column(String(3), server_default="")
    # Of an event without a message of ours: whom it named, so that erasure finds its body.
    address_hash: Mapped[str] = mapped_column(String(64), server_default="")


class MailLink(Base):
    """A link that stands in a campaign's mails. A click names its id; the address is looked up here."""

    __tablename__ = "mail_link"
    __table_args__ = (UniqueConstraint("campaign_id", "url_hash"),)

    id: Mapped[key]
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"))
    url: Mapped[long]
    url_hash: Mapped[str] = mapped_column(String(64))
    # A link that no person can see: who follows it is a machine.
    hidden: Mapped[bool]


class SendCount(Base):
    """Hand-overs begun within one slot of time, by what is limited (a channel, a domain)."""

    __tablename__ = "send_count"

    scope: Mapped[str] = mapped_column(String(300), primary_key=True)
    slot: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    count: Mapped[int]
