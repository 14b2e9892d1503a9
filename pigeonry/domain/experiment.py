"""Choices by lot and what is believed about them: arms, assignments, posteriors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

HOLDOUT = "holdout"


@dataclass(frozen=True, slots=True)
class Assignment:
    """One lot. `arm` is an arm's letter or HOLDOUT; `propensity` the probability of what was drawn,
    given everything known before the draw; `wave` 0 = holdout, 1 = test, 2 and on = the rest."""

    lead_id: int
    segment_id: int
    arm: str
    propensity: float
    wave: int
    seed: int


@dataclass(frozen=True, slots=True)
class Posterior:
    """Beta belief about the click rate of one prompt text in one segment (segment_id 0 = all)."""

    prompt: str
    prompt_version: str
    segment_id: int
    sends: int
    clicks: int
    alpha: float
    beta: float
    updated_at: datetime | None = None

    @property
    def mean(self) -> float:
        return self.alpha / (self.alpha + self.beta)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with an interval that holds at every moment it is looked at. `level` is e.g. 0.95."""

    estimate: float
    low: float
    high: float
    level: float = 0.95
