"""What other programs can be told of, and how a notice stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class NoticeKind(StrEnum):
    CAMPAIGN_FINISHED = "campaign.finished"
    MESSAGES_PARKED = "messages.parked"
    LEAD_SUPPRESSED = "lead.suppressed"
    DRIFT = "drift"
    TEST = "test"


class NoticeState(StrEnum):
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class News:
    """Something that happened. `key` names it for good: it is told once to each address."""

    key: str
    kind: NoticeKind
    at: datetime
    facts: Mapping[str, str | int | float]


@dataclass(frozen=True, slots=True)
class Notice:
    """News for one address, and what became of it."""

    id: int
    address_id: int
    key: str
    kind: NoticeKind
    at: datetime
    facts: Mapping[str, str | int | float]
    state: NoticeState
    attempts: int
    next_at: datetime
    sent_at: datetime | None
    answer: str


@dataclass(frozen=True, slots=True)
class NoticeAddress:
    """Where notices go."""

    id: int
    url: str
    kinds: tuple[NoticeKind, ...]
    created_at: datetime
    stopped_at: datetime | None
