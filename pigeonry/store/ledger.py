"""Queries about the ledger of model calls: every attempt, and sums that the cost report is made of."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Function, and_, case, func, insert, select

from pigeonry.domain import CacheStatus, CallOutcome, Language, LedgerEntry
from pigeonry.store.models import LlmCall
from pigeonry.store.session import Session

# A row is a call when somebody was asked: not the copy library, not a cached answer, not a skipped tier.
_ASKED = and_(
    LlmCall.tier != "library",
    LlmCall.cache != CacheStatus.HIT.value,
    LlmCall.outcome != CallOutcome.SKIPPED.value,
)


@dataclass(frozen=True, slots=True)
class Spent:
    """Sums over attempts. Money in millionths of `currency` ("" when there were several)."""

    cost_micros: int
    currency: str
    calls: int
    cache_hits: int
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TierSum:
    """What one tier did. `accepted`, `refused`, `failed` and `skipped` count attempts."""

    tier: str
    model: str
    accepted: int
    refused: int
    failed: int
    skipped: int
    cache_hits: int
    tokens_in: int
    tokens_out: int
    cost_micros: int
    currency: str
    seconds: float


def add(
    session: Session,
    campaign_id: int | None,
    entries: Sequence[LedgerEntry],
    *,
    variant_id: int | None = None,
) -> None:
    if entries:
        session.execute(
            insert(LlmCall),
            [
                {
                    "campaign_id": campaign_id,
                    "variant_id": variant_id,
                    "segment_id": entry.segment_id,
                    "language": entry.language.value if entry.language else "",
                    "tier": entry.tier,
                    "model": entry.model,
                    "prompt": entry.prompt,
                    "task": entry.task,
                    "outcome": entry.outcome.value,
                    "cache": entry.cache.value,
                    "tokens_in": entry.tokens_in,
                    "tokens_out": entry.tokens_out,
                    "cost_micros": entry.cost_micros,
                    "currency": entry.currency,
                    "seconds": entry.seconds,
                    "reason": entry.reason,
                    "proposal": entry.proposal,
                    "at": entry.at,
                }
                for entry in entries
            ],
        )


def entries(session: Session, campaign_id: int) -> list[tuple[int | None, LedgerEntry]]:
    """Every attempt of a campaign with the variant it was made for, in order."""
    rows = session.scalars(
        select(LlmCall).where(LlmCall.campaign_id == campaign_id).order_by(LlmCall.id)
    )
    return [(row.variant_id, _entry(row)) for row in rows]


def spent(session: Session, campaign_id: int | None = None) -> Spent:
    """Sums of one campaign, or of all."""
    query = select(
        func.coalesce(func.sum(LlmCall.cost_micros), 0),
        func.min(case((LlmCall.cost_micros > 0, LlmCall.currency))),
        func.max(case((LlmCall.cost_micros > 0, LlmCall.currency))),
        func.min(LlmCall.currency),
        func.coalesce(func.sum(case((_ASKED, 1), else_=0)), 0),
        func.coalesce(func.sum(case((LlmCall.cache == CacheStatus.HIT.value, 1), else_=0)), 0),
        func.coalesce(func.sum(LlmCall.tokens_in), 0),
        func.coalesce(func.sum(LlmCall.tokens_out), 0),
        func.coalesce(func.sum(LlmCall.seconds), 0.0),
    )
    if campaign_id is not None:
        query = query.where(LlmCall.campaign_id == campaign_id)
    cost, low, high, other, calls, hits, tokens_in, tokens_out, seconds = session.execute(
        query
    ).one()
    currency = (low if low == high else "") if low else other or "EUR"
    return Spent(int(cost), currency, int(calls), int(hits), int(tokens_in), int(tokens_out), float(seconds))  # fmt: skip


def cost_of_texts(session: Session, tiers: Collection[str], *, last: int = 500) -> tuple[int, int]:
    """What these tiers took for the newest texts that they tried to write: (texts, millionths)."""
    newest = (
        select(LlmCall.variant_id, func.sum(LlmCall.cost_micros).label("cost"))
        .where(LlmCall.tier.in_(sorted(tiers)), LlmCall.variant_id.is_not(None))
        .group_by(LlmCall.variant_id)
        .order_by(LlmCall.variant_id.desc())
        .limit(last)
        .subquery()
    )
    texts, cost = session.execute(select(func.count(), func.sum(newest.c.cost))).one()
    return int(texts), int(cost or 0)


def by_tier(session: Session, campaign_id: int | None = None) -> list[TierSum]:
    """Sums by tier and model, in the order in which the tiers were first asked."""

    def count(outcome: CallOutcome) -> Function[Any]:
        return func.sum(case((LlmCall.outcome == outcome.value, 1), else_=0))

    query = select(
        LlmCall.tier,
        func.max(LlmCall.model),
        count(CallOutcome.ACCEPTED),
        count(CallOutcome.REFUSED),
        count(CallOutcome.FAILED),
        count(CallOutcome.SKIPPED),
        func.sum(case((LlmCall.cache == CacheStatus.HIT.value, 1), else_=0)),
        func.sum(LlmCall.tokens_in),
        func.sum(LlmCall.tokens_out),
        func.sum(LlmCall.cost_micros),
        LlmCall.currency,
        func.sum(LlmCall.seconds),
    )
    if campaign_id is not None:
        query = query.where(LlmCall.campaign_id == campaign_id)
    rows: Sequence[Any] = session.execute(
        query.group_by(LlmCall.tier, LlmCall.currency).order_by(func.min(LlmCall.id))
    ).all()
    return [
        TierSum(
            tier=row[0],
            model=row[1],
            accepted=int(row[2]),
            refused=int(row[3]),
            failed=int(row[4]),
            skipped=int(row[5]),
            cache_hits=int(row[6]),
            tokens_in=int(row[7]),
            tokens_out=int(row[8]),
            cost_micros=int(row[9]),
            currency=row[10],
            seconds=float(row[11]),
        )
        for row in rows
    ]


def _entry(row: LlmCall) -> LedgerEntry:
    return LedgerEntry(
        tier=row.tier,
        model=row.model,
        prompt=row.prompt,
        task=row.task,
        outcome=CallOutcome(row.outcome),
        cache=CacheStatus(row.cache),
        tokens_in=row.tokens_in,
        tokens_out=row.tokens_out,
        cost_micros=row.cost_micros,
        currency=row.currency,
        seconds=row.seconds,
        reason=row.reason,
        at=row.at,
        segment_id=row.segment_id,
        language=Language(row.language) if row.language else None,
        proposal=row.proposal,
    )
