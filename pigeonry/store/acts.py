"""Queries about what people did to a campaign: edits, approvals, what was sent back, runs started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import select

from pigeonry.store.models import CampaignAct
from pigeonry.store.session import Session


class Action(StrEnum):
    EDITED = "edited"
    SENT_BACK = "sent-back"
    APPROVED = "approved"
    STARTED = "started"


@dataclass(frozen=True, slots=True)
class Act:
    id: int
    variant_id: int | None
    action: Action
    by: str
    reason: str
    detail: Mapping[str, Any]
    at: datetime


def add(
    session: Session,
    campaign_id: int,
    action: Action,
    *,
    by: str,
    at: datetime,
    reason: str = "",
    variant_id: int | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    session.add(
        CampaignAct(
            campaign_id=campaign_id,
            variant_id=variant_id,
            action=action.value,
            by=by[:200],
            reason=reason,
            detail=dict(detail or {}),
            at=at,
        )
    )
    session.flush()


def of_campaign(session: Session, campaign_id: int, *, limit: int = 200) -> list[Act]:
    """Newest first."""
    rows = session.scalars(
        select(CampaignAct)
        .where(CampaignAct.campaign_id == campaign_id)
        .order_by(CampaignAct.id.desc())
        .limit(limit)
    )
    return [
        Act(row.id, row.variant_id, Action(row.action), row.by, row.reason, row.detail, row.at)
        for row in rows
    ]
