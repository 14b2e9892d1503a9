"""What is written: copy, where it came from, what it cost, and why cheaper writers were refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pigeonry.domain.lead import Language

# Tier of a text that a person has edited. Its prompt is still the arm's, but what the text earns is credited
# to no prompt.
PERSON = "person"


@dataclass(frozen=True, slots=True)
class Copy:
    """One mail's words, every slot of the brief already filled. Plain text: no markup, no templates.

    `body` is a tuple of paragraphs. The greeting, the facts box and the footer belong to the layout.
    """

    subject: str
    preheader: str
    hook: str
    body: tuple[str, ...]
    cta: str


@dataclass(frozen=True, slots=True)
class Violation:
    """A check that a text did not pass. `field` is a field of Copy, or "" for the whole."""

    check: str
    field: str
    detail: str


class CallOutcome(StrEnum):
    ACCEPTED = "accepted"
    REFUSED = "refused"  # answered, and a check said no
    FAILED = "failed"  # no usable answer: transport, time, budget, malformed
    SKIPPED = "skipped"  # never called: region, budget, breaker, not allowed to write this


class CacheStatus(StrEnum):
    NONE = "none"  # nothing to cache (the copy library)
    MISS = "miss"
    HIT = "hit"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One attempt of one tier at one text. Money is millionths of a currency unit."""

    tier: str
    model: str  # the model that answered; "" when none did
    prompt: str  # prompt name@version
    task: str  # which part: "subject", "copy", ...
    outcome: CallOutcome
    cache: CacheStatus
    tokens_in: int
    tokens_out: int
    cost_micros: int
    currency: str
    seconds: float
    reason: str  # why refused, failed or skipped, in words a marketer reads
    at: datetime
    segment_id: int | None = None
    language: Language | None = None
    proposal: str = ""  # what was proposed, shortened


@dataclass(frozen=True, slots=True)
class Draft:
    """A variant as a writer hands it over, before it has an id.

    `tier` and `model` say who wrote the part that the model may write (subject and preheader); the rest
    comes from `template`. `ledger` lists every attempt behind it, cheapest first.
    """

    segment_id: int
    language: Language
    arm: str  # "A", "B", ...
    prompt: str  # prompt name
    prompt_version: str  # sha256 of its text, hex, first 16
    template: str  # copy library piece, e.g. "ro/offer/question"
    tier: str
    model: str
    copy: Copy
    cache: CacheStatus
    ledger: tuple[LedgerEntry, ...]
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """A stored draft."""

    id: int
    campaign_id: int
    segment_id: int
    language: Language
    arm: str
    prompt: str
    prompt_version: str
    template: str
    tier: str
    model: str
    copy: Copy
    cost_micros: int
    predicted_click: float | None = None
