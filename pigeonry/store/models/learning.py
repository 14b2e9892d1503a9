"""What was learned: beliefs about prompts and the fitted engagement models."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from pigeonry.store.base import Base, Json, code, key, label, moment


class Posterior(Base):
    """Belief about one prompt text in one segment; segment_id 0 is the pooled belief."""

    __tablename__ = "posterior"

    prompt: Mapped[str] = mapped_column(String(200), primary_key=True)
    prompt_version: Mapped[str] = mapped_column(String(16), primary_key=True)
    segment_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sends: Mapped[int]
    clicks: Mapped[int]
    alpha: Mapped[float]
    beta: Mapped[float]
    updated_at: Mapped[moment]


class EngagementModel(Base):
    """A fit: JSON parameters (never a pickle) and its card (data, splits, metrics, calibration)."""

    __tablename__ = "engagement_model"

    id: Mapped[key]
    target: Mapped[code]
    kind: Mapped[label]
    parameters: Mapped[dict[str, Any]] = mapped_column(Json)
    card: Mapped[dict[str, Any]] = mapped_column(Json)
    outcomes: Mapped[int]
    created_at: Mapped[moment]
