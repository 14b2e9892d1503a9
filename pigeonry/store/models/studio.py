"""The studio: briefs that are being written, and what people did to a campaign."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from pigeonry.store.base import Base, Json, code, key, label, long, moment


class BriefDraft(Base):
    """A brief that is being written: its TOML as it stands, which may still be wrong. `version` grows with
    every save, so that nobody overwrites what another has changed meanwhile."""

    __tablename__ = "brief_draft"

    id: Mapped[key]
    name: Mapped[label]
    source: Mapped[long]
    version: Mapped[int]
    # The newest campaign that was made from it.
    campaign_id: Mapped[int | None] = mapped_column(ForeignKey("campaign.id"), index=True)
    updated_by: Mapped[label]
    created_at: Mapped[moment]
    updated_at: Mapped[moment]


class CampaignAct(Base):
    """What a person did to a campaign: a text edited (with the words before and after), texts sent back or
    approved, a run started. Kept as it was written; nothing is decided on it."""

    __tablename__ = "campaign_act"

    id: Mapped[key]
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaign.id"), index=True)
    variant_id: Mapped[int | None] = mapped_column(ForeignKey("variant.id"))
    action: Mapped[code]
    by: Mapped[label]
    reason: Mapped[long]
    detail: Mapped[dict[str, Any]] = mapped_column(Json)
    at: Mapped[moment]
