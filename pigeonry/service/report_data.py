"""What the report page shows, as frozen data: gathered by `report_collect`, drawn by `reports`.

It knows neither database nor HTML, so a page can be rendered, tested and looked at without a campaign.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from pigeonry.domain.experiment import Interval


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """A segment and how it answered the campaigns of this report. `sends` 0: nothing was sent yet."""

    id: int
    name: str
    description: str
    size: int
    sends: int = 0
    clicks: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class MapFacts:
    """A sample of leads on a plane; three arrays of shape (n,), aligned by position."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    segment_ids: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """One attempt of one tier at one text. Money in millionths of `currency`."""

    tier: str
    model: str
    task: str
    outcome: str
    reason: str
    proposal: str
    cache: str
    tokens_in: int
    tokens_out: int
    cost_micros: int
    currency: str
    seconds: float


@dataclass(frozen=True, slots=True)
class CheckFacts:
    check: str
    field: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class MailFacts:
    """A variant as a mail, and what it came from. `html` is "" when it could not be rendered: `note`
    then says why. `cold_start`: `predicted_click` is an assumed or pooled rate and no model's."""

    arm: str
    language: str
    segment_id: int
    segment: str
    sender: str
    subject: str
    preheader: str
    hook: str
    body: tuple[str, ...]
    cta: str
    html: str
    prompt: str
    prompt_version: str
    tier: str
    model: str
    template: str
    cache: str
    tokens_in: int
    tokens_out: int
    cost_micros: int
    currency: str
    predicted_click: float | None
    cold_start: bool
    attempts: tuple[AttemptFacts, ...] = ()
    checks: tuple[CheckFacts, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class ArmFacts:
    """An arm with what it earned. `probability` is the chance with which the lot picked its prompt.
    The intervals hold at every moment they are looked at; None before there is any outcome."""

    arm: str
    prompt: str
    version: str
    probability: float
    sends: int
    opens: int
    machine_opens: int
    clicks: int
    unsubscribes: int
    complaints: int
    open_rate: Interval | None
    click_rate: Interval | None
    p_best: float | None


@dataclass(frozen=True, slots=True)
class ContrastFacts:
    """Click rate of `first` minus that of `second`; `shown` when the interval does not hold zero."""

    first: str
    second: str
    interval: Interval
    shown: bool


@dataclass(frozen=True, slots=True)
class CellFacts:
    """One arm in one segment."""

    segment: str
    arm: str
    prompt: str
    sends: int
    clicks: int
    click_rate: Interval | None
    p_best: float | None


@dataclass(frozen=True, slots=True)
class GuardrailFacts:
    """A limit on harm. `state`: "kept", "watch" (above it, which may be chance) or "stopped" (shown to be
    above it)."""

    arm: str
    name: str
    state: str
    rate: Interval
    limit: float


@dataclass(frozen=True, slots=True)
class HoldoutFacts:
    """Leads who by lot got no mail. `lift` is what mail added, as a difference of fractions; `claim`
    says in words what may be said about it."""

    size: int
    share: float
    lift: Interval | None
    claim: str


@dataclass(frozen=True, slots=True)
class WaveFacts:
    """How many leads each arm got in one wave (1 = test, 2 and on = the rest)."""

    wave: int
    arms: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class BeliefFacts:
    """The click rate that was believed of a prompt's text in a segment ("" = all pooled) when a campaign
    chose its arms; `rate` is a credible interval. `sends` and `clicks` are all there had been by then."""

    prompt: str
    version: str
    segment: str
    rate: Interval
    sends: int
    clicks: int


@dataclass(frozen=True, slots=True)
class CampaignFacts:
    """One campaign. `winner` is an arm's letter when it is shown to be the best, else ""; `leader`
    the one that is believed to be. `ripe`: share of all clicks that are expected to be in by now.
    `refused` counts by check how often proposals of models did not pass (one may break several), so its
    sum is no count of proposals: `refused_proposals` of `proposals` were not taken. Money in millionths of `currency`; `model_seconds` is time spent in calls of models. `weights` are
    those of all prompts in the lot that chose the arms, on what `prior_sends` earlier mails had shown."""

    id: int
    name: str
    occurrence: str
    stage: str
    state: str
    channel: str
    seed: int
    created_at: datetime
    held_out: int
    sent: int
    failed: int
    cancelled: int
    parked: int
    waiting: int
    cost_micros: int
    currency: str
    calls: int
    cache_hits: int
    model_seconds: float
    local_model: str
    writing_note: str
    refused: Mapping[str, int]
    refused_proposals: int
    proposals: int
    score_note: str
    arms: tuple[ArmFacts, ...] = ()
    contrasts: tuple[ContrastFacts, ...] = ()
    cells: tuple[CellFacts, ...] = ()
    waves: tuple[WaveFacts, ...] = ()
    guardrails: tuple[GuardrailFacts, ...] = ()
    holdout: HoldoutFacts | None = None
    leader: str = ""
    winner: str = ""
    ripe: float = 1.0
    verdict: str = ""
    mails: tuple[MailFacts, ...] = ()
    beliefs: tuple[BeliefFacts, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    prior_sends: int = 0

    @property
    def title(self) -> str:
        return f"{self.name} ({self.occurrence})" if self.occurrence else self.name


@dataclass(frozen=True, slots=True)
class CostStepFacts:
    """What the same mails would have cost with one more saving in place; millionths of `currency`."""

    name: str
    explanation: str
    micros: int


@dataclass(frozen=True, slots=True)
class PriceFacts:
    model: str
    price_in: float
    price_out: float
    currency: str
    source: str
    dated: str


@dataclass(frozen=True, slots=True)
class CostFacts:
    currency: str
    steps: tuple[CostStepFacts, ...]
    prices: tuple[PriceFacts, ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything on the page. `simulated` is the banner's text, "" for real recipients. `gaps` says in
    words what could not be shown, by section."""

    made_at: datetime
    version: str
    versions: Mapping[str, str]
    segments: tuple[SegmentFacts, ...]
    map: MapFacts | None
    campaigns: tuple[CampaignFacts, ...]
    costs: CostFacts | None
    simulated: str = ""
    gaps: Mapping[str, str] = field(default_factory=dict)
