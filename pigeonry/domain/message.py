"""One planned mail to one lead, its states, and what a channel answers when it is handed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol


class MessageState(StrEnum):
    """planned -> claimed -> handing_over -> accepted | failed | cancelled | unknown -> accepted | parked"""

    PLANNED = "planned"
    CLAIMED = "claimed"
    HANDING_OVER = "handing_over"
    ACCEPTED = "accepted"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"
    PARKED = "parked"


class Outcome(StrEnum):
    """What a hand-over proved. Only RETRY and REFUSED may ever lead to another try."""

    ACCEPTED = "accepted"
    RETRY = "retry"  # definitely not accepted, may be tried again later
    REFUSED = "refused"  # definitely not accepted, for good
    UNKNOWN = "unknown"  # may have been accepted: never tried again blindly


@dataclass(frozen=True, slots=True)
class HandOver:
    outcome: Outcome
    provider_id: str = ""
    reason: str = ""
    retry_after: float | None = None  # seconds
    # The trouble is the channel's, not this message's: the next one would fare no better now.
    channel_down: bool = False
    # Which channel took it, where a sender has more than one; "" for the sender's own name.
    channel: str = ""


@dataclass(frozen=True, slots=True)
class PlannedMessage:
    """What is stored in the transaction that decided it. (lead, campaign, step, occurrence) is unique."""

    campaign_id: int
    lead_id: int
    variant_id: int
    wave: int
    address_hash: str
    channel: str
    occurrence: str = ""
    step: int = 1


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A rendered mail. `send_key` is random and opaque; it travels in Message-ID and X-Pigeonry-Key."""

    send_key: str
    to_email: str
    to_name: str
    from_email: str
    from_name: str
    reply_to: str
    subject: str
    text: str
    html: str
    unsubscribe_url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    tracked: bool = False  # opens or clicks lead to us: no channel needs to count them too


class Sender(Protocol):
    """A channel. `max_seconds` is the longest that `hand_over` may take; a lease has to be longer."""

    @property
    def name(self) -> str: ...

    @property
    def max_seconds(self) -> float: ...

    def hand_over(self, message: OutgoingMessage) -> HandOver: ...

    def evidence(self, send_key: str) -> bool | None:
        """True: it was accepted. False: it certainly was not. None: this channel cannot know."""
        ...
