"""Turns what came back into beliefs and a model, and lets a campaign choose its prompts by them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from feedback.drift import Drift, shift
from feedback.learn import Belief, cells, pool, posteriors, refit_due
from feedback.rewards import DelayCurve, fit_delay, half_life_curve
from pigeonry.config import Home
from pigeonry.domain import Outcomes
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import WrongUse
from pigeonry.service.outcomes import priors, snapshot, stream_outcomes
from pigeonry.service.results_kept import keep_late_results
from pigeonry.store import campaigns, engagement, summaries
from pigeonry.store import posteriors as posterior_store
from pigeonry.store.campaigns import ArmPlan
from pigeonry.store.session import Database

_UNKNOWN_PROMPT = Belief(1.0, 20.0)  # like any prompt, give or take 22 %
_FIT_ROWS = 30_000  # newest outcomes that a fit looks at
_RECENT = timedelta(days=7)  # drift: this period against all before it


class PromptText(Protocol):
    """What is needed of a prompt: its name, and the version that its exact text has."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...


@dataclass(frozen=True, slots=True)
class LearnReport:
    """`updated` beliefs about prompts, whether the model was fitted anew, and what drifted."""

    updated: int
    outcomes: int
    clicks: int
    refit: bool
    model: str
    cold_start: bool
    delay: DelayCurve
    drift: tuple[Drift, ...]

    def lines(self) -> list[str]:
        said = [
            f"{self.outcomes:,} mails with {self.clicks:,} human clicks: {self.updated} beliefs updated"
        ]
        said.append(f"  model {'fitted anew' if self.refit else 'kept'}: {self.model}")
        said += [f"  DRIFT: {item.sentence}" for item in self.drift] or ["  no drift shown"]
        return said

    def to_json(self) -> dict[str, Any]:
        return {
            "updated": self.updated,
            "refit": self.refit,
            "drift": [
                {
                    "what": d.what,
                    "before": d.before,
                    "after": d.after,
                    "z": d.z,
                    "sentence": d.sentence,
                }
                for d in self.drift
            ],
            "outcomes": self.outcomes,
            "clicks": self.clicks,
            "model": self.model,
            "cold_start": self.cold_start,
        }


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """Predicted click rates by variant id; `cold_start` where they are pooled rates and no model's."""

    cold_start: bool
    model: str
    note: str
    predictions: Mapping[int, float]


def choose_arms(
    db: Database,
    home: Home,
    campaign_id: int,
    prompts: Sequence[PromptText],
    *,
    now: datetime,
) -> dict[str, ArmPlan]:
    """Choose the campaign's prompts by lot, better ones more often, and log each one's probability.

    Arms once chosen stay. Without anything learned this is a plain lot. The beliefs of this moment go
    into the experiment's plan. Raises WrongUse without prompts.
    """
    from pigeonry.service.briefs import load
    from scoring.bandit import choose
    from scoring.evaluate import chances_of_best

    row, brief = load(db, campaign_id)
    with db.read() as session:
        chosen = campaigns.arms(session, campaign_id)
        known = posterior_store.every(session)
    if chosen:
        return chosen
    if not prompts:
        raise WrongUse(
            "there are no prompts to choose from",
            where=f"campaign {campaign_id}",
            fix="see `pigeonry prompts check`",
        )
    plan: dict[str, Any] = {"beliefs": snapshot(known)}
    before, _, _ = priors(plan)
    believed = {
        prompt.name: before.get((prompt.name, prompt.version), _UNKNOWN_PROMPT)
        for prompt in prompts
    }
    chances = chances_of_best(
        {name: (belief.effect, belief.shape) for name, belief in believed.items()}, seed=row.seed
    )
    choice = choose(
        chances,
        brief.experiment.variants,
        uniform_share=home.settings.learning.uniform_share,
        seed=row.seed,
    )
    versions = {prompt.name: prompt.version for prompt in prompts}
    ordered = [name for name in versions if name in choice.chosen]
    arms = {
        _letter(place): ArmPlan(name, versions[name], choice.probability[name])
        for place, name in enumerate(ordered)
    }
    plan["choice"] = {
        "weights": dict(choice.weights),
        "exact": choice.exact,
        "seed": row.seed,
        "effects": {name: belief.effect for name, belief in believed.items()},
        "prior_sends": sum(b.sends for b in known if b.prompt and b.segment_id == 0),
    }
    with db.write() as session:
        if not campaigns.arms(session, campaign_id):
            campaigns.set_arms(session, campaign_id, arms, now)
            campaigns.add_to_plan(session, campaign_id, plan)
        return campaigns.arms(session, campaign_id)


def learn(db: Database, home: Home, *, now: datetime, progress: Progress = silent) -> LearnReport:
    """Learn from every outcome anew: beliefs about prompts, and the model when enough is new.

    Runs over the same outcomes to the same result, whenever and however often it is called.
    """
    settings = home.settings.learning
    clicked: list[Outcomes] = []
    total = 0
    for outcome in stream_outcomes(db):
        total += 1
        if outcome.first_click_at is not None:
            clicked.append(outcome)
        if total % 5000 == 0:
            progress("outcomes", total)
    curve = fit_delay(clicked, now, half_life_curve(settings.mature_hours))

    newest: deque[Outcomes] = deque(maxlen=_FIT_ROWS)
    periods = _Periods(now - _RECENT, curve, now)

    def every() -> Iterator[Outcomes]:
        for outcome in stream_outcomes(db):
            newest.append(outcome)
            periods.add(outcome)
            yield outcome

    beliefs = posteriors(pool(cells(every(), curve, now)))
    with db.write() as session:
        posterior_store.replace_all(session, beliefs if total else [], now)
        last = engagement.latest_model(session)
        recent = engagement.proposals(session, since=now - _RECENT)
        earlier = engagement.proposals(session, before=now - _RECENT)
    refit = refit_due(total, last.outcomes if last else None, settings.refit_after)
    words, cold = "none yet: nothing was sent", True
    if refit:
        words, cold = _fit(db, newest, curve, total, now)
    elif last is not None:
        words, cold = str(last.card.get("words", "")), bool(last.parameters.get("cold_start"))
    drift = periods.drift()
    accepted = shift("acceptance of models' proposals", earlier, recent)
    report = LearnReport(
        updated=sum(1 for belief in beliefs if belief.prompt),
        outcomes=total,
        clicks=len(clicked),
        refit=refit,
        model=words,
        cold_start=cold,
        delay=curve,
        drift=(*drift, accepted) if accepted else drift,
    )
    with db.write() as session:
        summaries.put(session, summaries.LEARNED, report.to_json(), at=now)
    keep_late_results(db, home, now=now)
    return report


def score_variants(db: Database, home: Home, campaign_id: int, *, now: datetime) -> ScoreReport:
    """Predict each variant's click rate for a lead of ordinary past, and store it with the variant.

    Without a model that earned its place the prediction is the pooled rate of the prompt in the
    segment, and the report says so.
    """
    from pigeonry.store import variants as variant_store
    from scoring.model import EngagementModel

    with db.read() as session:
        variants = variant_store.of_campaign(session, campaign_id)
        stored = engagement.latest_model(session)
        known = posterior_store.every(session)
    model = EngagementModel.from_json(stored.parameters, stored.card) if stored else None
    if model is not None and stored is not None and not model.cold_start_:
        rows = [_typical(variant, now) for variant in variants]
        predicted = [float(p) for p in model.predict(_frame(rows))] if rows else []
        predictions = {v.id: p for v, p in zip(variants, predicted, strict=True)}
        name, note = f"click model {stored.id}", str(model.card_["words"])
    else:
        prompts, in_segments, rate = priors({"beliefs": snapshot(known)})
        pooled = pool([], before=prompts, before_cells=in_segments, rate_before=rate)
        base = {b.segment_id: b.mean for b in known if not b.prompt}
        predictions = {}
        for variant in variants:
            key = (variant.prompt, variant.prompt_version)
            belief = pooled.cells.get((*key, variant.segment_id)) or pooled.prompts.get(
                key, Belief()
            )
            predictions[variant.id] = base.get(variant.segment_id, rate) * belief.effect
        name = "cold start"
        sends = next((b.sends for b in known if not b.prompt and b.segment_id == 0), 0)
        note = (
            f"Cold start: predictions are pooled click rates from {sends:,} mails, no model's."
            if sends
            else f"Cold start: nothing was ever sent; every prediction is the assumed {rate:.1%}."
        )
    with db.write() as session:
        variant_store.set_predictions(session, predictions)
    return ScoreReport(name == "cold start", name, note, predictions)


class _Periods:
    """Counts of a recent period and of all before it, to see a shift."""

    def __init__(self, since: datetime, curve: DelayCurve, now: datetime) -> None:
        self.since, self.curve, self.now = since, curve, now
        self.counts = {recent: [0, 0, 0, 0.0] for recent in (False, True)}

    def add(self, outcome: Outcomes) -> None:
        row = self.counts[outcome.accepted_at >= self.since]
        row[0] += 1
        row[1] += outcome.bounced
        row[2] += outcome.clicked
        row[3] += self.curve.exposure(outcome, self.now)

    def drift(self) -> tuple[Drift, ...]:
        pairs = []
        for what, hits, trials in (("bounces", 1, 0), ("human clicks for each mail", 2, 3)):
            before, after = (
                (int(self.counts[recent][hits]), int(self.counts[recent][trials]))
                for recent in (False, True)
            )
            pairs.append(shift(what, before, after))
        return tuple(found for found in pairs if found is not None)


def _fit(
    db: Database, newest: Sequence[Outcomes], curve: DelayCurve, total: int, now: datetime
) -> tuple[str, bool]:
    from scoring.features import examples
    from scoring.model import EngagementModel

    with db.read() as session:
        texts = engagement.copies(session, sorted({outcome.campaign_id for outcome in newest}))
        overall = next(
            (b.mean for b in posterior_store.every(session) if not b.prompt and not b.segment_id),
            0.02,
        )
    weight = [curve.exposure(outcome, now) for outcome in newest]
    model = EngagementModel(prior_rate=overall).fit(examples(list(newest), texts, weight))
    with db.write() as session:
        engagement.save_model(
            session,
            target="click",
            kind="cold start" if model.cold_start_ else "logistic",
            parameters=model.to_json(),
            card=model.card_,
            outcomes=total,
            at=now,
        )
    return str(model.card_["words"]), model.cold_start_


def _typical(variant: Any, now: datetime) -> dict[str, float | str]:
    """A variant's features for a lead of ordinary past: missing values take the training mean."""
    from scoring.features import past_features, row

    found = row(
        segment_id=variant.segment_id,
        language=str(variant.language),
        prompt=variant.prompt,
        copy=variant.copy,
        at=now,
    )
    return found | dict.fromkeys(past_features(0, 0, None), float("nan"))


def _frame(rows: Sequence[Mapping[str, Any]]) -> Any:
    import pandas as pd

    return pd.DataFrame(list(rows))


def _letter(place: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    name = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, 26)
        name = chr(65 + rest) + name
    return name
