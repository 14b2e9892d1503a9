"""What: campaigns, briefs, prompts, variants with their ledger, and the lots that were drawn."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from pigeonry.store.base import Base, BigId, Json, UtcDateTime, code, key, label, long, moment


class BriefVersion(Base):
    """A brief as it was read, by the hash of its text."""

    __tablename__ = "brief_version"

    id: Mapped[key]
    content_hash: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[label]
    source: Mapped[long]
    created_at: Mapped[moment]


class PromptVersion(Base):
    """A prompt file's exact text; its version is the first 16 hex digits of its SHA-256."""

    __tablename__ = "prompt_version"

    version: Mapped[str] = mapped_column(String(16), primary_key=True)
    name: Mapped[label]
    source: Mapped[long]
    created_at: Mapped[moment]


class Campaign(Base):
    """One run of one brief, unique by the brief's name and occurrence: the same command twice is the
    same campaign, so it cannot write to anybody twice. `stage` is the next stage to do; `state` is
    running, waiting, paused, cancelled or done."""

    __tablename__ = "campaign"
    __table_args__ = (UniqueConstraint("name", "occurrence"),)

    id: Mapped[key]
    name: Mapped[label]
    brief_version_id: Mapped[int] = mapped_column(ForeignKey("brief_version.id"))
    occurrence: Mapped[str] = mapped_column(String(80))
    stage: Mapped[code]
    state: Mapped[code]
    seed: Mapped[int] = mapped_column(BigId)
    channel: Mapped[code]
    topic: Mapped[str] = mapped_column(String(80), server_default="")  # "": of no topic
    # What each finished stage counted, by stage name: shown, never decided on.
    notes: Mapped[dict[str, Any]] = mapped_column(Json)
    approved_by: Mapped[label]
    approved_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    wait_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[moment]
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Experiment(Base):
    """Arms of a campaign: letter -> {"prompt", "version", "probability"}; and the plan as drawn up."""

    __tablename__ = "experiment"
    __table_args__ = (UniqueConstraint("campaign_id"),)

    id: Mapped[key]
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"))
    arms: Mapped[dict[str, Any]] = mapped_column(Json)
    plan: Mapped[dict[str, Any]] = mapped_column(Json)
    created_at: Mapped[moment]


class Variant(Base):
    """A text for one segment, language and arm, with where it came from."""

    __tablename__ = "variant"
    __table_args__ = (UniqueConstraint("campaign_id", "segment_id", "language", "arm"),)

    id: Mapped[key]
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"))
    segment_id: Mapped[int] = mapped_column(ForeignKey("segment.id"))
    language: Mapped[str] = mapped_column(String(8))
    arm: Mapped[str] = mapped_column(String(8))
    prompt: Mapped[label]
    prompt_version: Mapped[str] = mapped_column(ForeignKey("prompt_version.version"))
    template: Mapped[label]
    tier: Mapped[label]
    model: Mapped[label]
    cache: Mapped[code]
    subject: Mapped[long]
    preheader: Mapped[long]
    hook: Mapped[long]
    body: Mapped[list[str]] = mapped_column(Json)
    cta: Mapped[label]
    cost_micros: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    predicted_click: Mapped[float | None]
    created_at: Mapped[moment]


class CheckResult(Base):
    """A check that a proposal behind a variant did not pass, or `passed` for the text that ships."""

    __tablename__ = "check_result"

    id: Mapped[key]
    variant_id: Mapped[int] = mapped_column(ForeignKey("variant.id"), index=True)
    check: Mapped[code]
    field: Mapped[code]
    passed: Mapped[bool]
    detail: Mapped[long]


class LlmCall(Base):
    """The ledger: one row for each attempt of a tier. Cost in millionths of `currency`."""

    __tablename__ = "llm_call"
    __table_args__ = (Index("ix_llm_call_campaign_id", "campaign_id"),)

    id: Mapped[key]
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaign.id"))
    variant_id: Mapped[int | None] = mapped_column(ForeignKey("variant.id"))
    segment_id: Mapped[int | None]
    language: Mapped[str] = mapped_column(String(8))
    tier: Mapped[label]
    model: Mapped[label]
    prompt: Mapped[label]
    task: Mapped[code]
    outcome: Mapped[code]
    cache: Mapped[code]
    tokens_in: Mapped[int]
    tokens_out: Mapped[int]
    cost_micros: Mapped[int] = mapped_column(BigId)
    currency: Mapped[str] = mapped_column(String(3))
    seconds: Mapped[float]
    reason: Mapped[long]
    proposal: Mapped[long]
    at: Mapped[moment]


class CompletionCache(Base):
    """An accepted answer by the hash of its whole request, or a lease on one that is being asked for.

    `response` is null while somebody asks; `lease_until` then says how long others wait.
    """

    __tablename__ = "completion_cache"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[label]
    response: Mapped[dict[str, Any] | None] = mapped_column(Json)
    tokens_in: Mapped[int]
    tokens_out: Mapped[int]
    cost_micros: Mapped[int] = mapped_column(BigId)
    hits: Mapped[int]
    owner: Mapped[label]
    lease_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[moment]


class Assignment(Base):
    """The lot that a lead drew, with its probability and seed; `wave` 0 is the holdout."""

    __tablename__ = "assignment"

    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"), primary_key=True)
    lead_id: Mapped[int] = mapped_column(
        ForeignKey("lead.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    segment_id: Mapped[int] = mapped_column(ForeignKey("segment.id"))
    arm: Mapped[str] = mapped_column(String(8))
    propensity: Mapped[float]
    wave: Mapped[int] = mapped_column(index=True)
    seed: Mapped[int] = mapped_column(BigId)
    at: Mapped[moment]


__all__ = [
    "Assignment",
    "BriefVersion",
    "Campaign",
    "CheckResult",
    "CompletionCache",
    "Experiment",
    "LlmCall",
    "PromptVersion",
    "Variant",
]
