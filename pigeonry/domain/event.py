"""What a provider or a person did to a message, in our own words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventKind(StrEnum):
    """In the order of the lattice: a later kind wins over an earlier one, whatever arrives first."""

    PROCESSED = "processed"
    DEFERRED = "deferred"
    DELIVERED = "delivered"
    OPEN = "open"
    CLICK = "click"
    REPLY = "reply"
    CONVERSION = "conversion"
    DROPPED = "dropped"
    BLOCKED = "blocked"
    BOUNCE = "bounce"
    UNSUBSCRIBE = "unsubscribe"
    COMPLAINT = "complaint"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Event:
    """One normalised event. `id` is the provider's, or a hash of the canonical event when it has none.

    `human` is the probability that a person did it (1.0 where the question makes no sense).
    """

    id: str
    source: str
    kind: EventKind
    at: datetime
    send_key: str = ""  # "" when the event carries none
    provider_message_id: str = ""
    url: str = ""
    user_agent: str = ""
    ip: str = ""
    reason: str = ""
    human: float = 1.0
    why: str = ""  # what spoke for a machine or a person
    value_micros: int = 0  # of a conversion, millionths of `currency`
    currency: str = ""


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message that a channel accepted, with the lot that led to it: what an outcome is made from."""

    message_id: int
    lead_id: int
    campaign_id: int
    segment_id: int
    language: str
    arm: str
    prompt: str
    prompt_version: str
    propensity: float
    wave: int
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What one message earned so far (human events only)."""

    message_id: int
    lead_id: int
    campaign_id: int
    segment_id: int
    language: str
    arm: str
    prompt: str
    prompt_version: str
    propensity: float
    wave: int
    accepted_at: datetime
    delivered: bool
    opened: bool
    clicked: bool
    unsubscribed: bool
    complained: bool
    bounced: bool
    first_click_at: datetime | None = None
    replied: bool = False
    converted: bool = False
