"""Queries about what was worked out from many rows and kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pigeonry.store.models import Summary
from pigeonry.store.session import Session

LEARNED = "learned"
SEGMENT_MAP = "segment-map"
SEGMENT_TRAITS = "segment-traits"


def results_of(campaign_id: int) -> str:
    return f"results/{campaign_id}"


@dataclass(frozen=True, slots=True)
class KeptSummary:
    made_from: Mapping[str, Any]
    facts: Mapping[str, Any]
    at: datetime


def get(session: Session, name: str) -> KeptSummary | None:
    row = session.get(Summary, name)
    return None if row is None else KeptSummary(row.made_from, row.facts, row.at)


def put(
    session: Session,
    name: str,
    facts: Mapping[str, Any],
    *,
    at: datetime,
    made_from: Mapping[str, Any] | None = None,
) -> None:
    session.merge(Summary(name=name, made_from=dict(made_from or {}), facts=dict(facts), at=at))
    session.flush()
