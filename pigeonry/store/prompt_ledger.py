"""Sums of the ledger by prompt text: how often its proposals were taken, and what that cost."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case, func, select

from pigeonry.domain import CacheStatus, CallOutcome
from pigeonry.store.models import LlmCall, PromptVersion, Variant
from pigeonry.store.session import Session


@dataclass(frozen=True, slots=True)
class Proposals:
    """Attempts of models (the copy library asks nobody). Money in millionths of `currency`."""

    accepted: int
    refused: int
    cost_micros: int
    currency: str


def by_version(session: Session) -> dict[tuple[str, str], Proposals]:
    """(prompt, version) -> what models proposed with it. The version is that of the text it was for."""

    def count(outcome: CallOutcome) -> object:
        return func.sum(case((LlmCall.outcome == outcome.value, 1), else_=0))

    rows = session.execute(
        select(
            LlmCall.prompt,
            Variant.prompt_version,
            count(CallOutcome.ACCEPTED),
            count(CallOutcome.REFUSED),
            func.sum(case((LlmCall.cache != CacheStatus.HIT.value, LlmCall.cost_micros), else_=0)),
            func.max(LlmCall.currency),
        )  # type: ignore[call-overload]
        .join(Variant, Variant.id == LlmCall.variant_id)
        .where(LlmCall.tier != "library")
        .group_by(LlmCall.prompt, Variant.prompt_version)
    )
    return {
        (prompt, version): Proposals(int(taken), int(refused), int(cost), currency)
        for prompt, version, taken, refused, cost, currency in rows
    }


@dataclass(frozen=True, slots=True)
class StoredPrompt:
    version: str
    name: str
    source: str


def stored(session: Session) -> list[StoredPrompt]:
    """Every text that was ever used, by name, the newest first."""
    rows = session.execute(
        select(PromptVersion.version, PromptVersion.name, PromptVersion.source).order_by(
            PromptVersion.name, PromptVersion.created_at.desc(), PromptVersion.version
        )
    )
    return [StoredPrompt(*row) for row in rows]
