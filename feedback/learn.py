"""Beliefs about prompt texts from what came back, pooled over prompts and segments. Chooses nothing.

The model: clicks of a prompt p in a stratum s (a wave of a campaign in a segment) are Poisson with mean
exposure x rate(s) x effect(p, segment). Effects are Gamma around the prompt's effect, which is Gamma
around the effect believed before (1 = like any prompt); rates are Gamma around the overall rate. The
Gamma-Poisson pair is the usual conjugate one (Gelman et al., Bayesian Data Analysis, 2.6-2.7); shapes of
the two Gammas are chosen by empirical Bayes. A prompt is thus compared with others that met the same
people, so that a prompt used in an eager segment or a loud campaign gets no credit for it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from feedback.rewards import DelayCurve
from pigeonry.domain import Outcomes, Posterior

K = TypeVar("K", bound=Hashable)

OVERALL = ""  # the prompt of a posterior that speaks of any prompt: a rate, not an effect
DEFAULT_RATE = 0.02  # human clicks per mail before anything is known (bulk mail lies around 1-4 %)
_RATE_WEIGHT = 1.0  # of DEFAULT_RATE, in expected clicks
_STRATUM_SHAPE = 1.0  # strata may differ by several times without surprise
_SHAPES = (2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0, 96.0, 128.0, 256.0, 512.0)
_PROMPT_SHAPE = 20.0  # hyperprior's centre: prompts differ by about 22 %
_CELL_SHAPE = 60.0  # and the same prompt differs by about 13 % from segment to segment
_SWEEPS = 60


@dataclass(frozen=True, slots=True)
class Cell:
    """Matured sends and clicks of one prompt text in one stratum. `exposure` <= sends."""

    stratum: str
    segment_id: int
    prompt: str
    prompt_version: str
    sends: int
    clicks: int
    exposure: float


@dataclass(frozen=True, slots=True)
class Belief:
    """Gamma belief about an effect: its mean is `effect`, `shape` pseudo-clicks stand behind it."""

    effect: float = 1.0
    shape: float = 0.0


PromptKey = tuple[str, str]  # name, version


@dataclass(frozen=True, slots=True)
class Pooled:
    """What is believed after the data. `segments` and `strata` are rates, the others effects."""

    rate: float
    sends: int
    clicks: int
    segments: Mapping[int, float]
    strata: Mapping[str, float]
    prompts: Mapping[PromptKey, Belief]
    cells: Mapping[tuple[str, str, int], Belief]
    seen: Mapping[tuple[str, str, int], tuple[int, int]] = field(default_factory=dict)
    segment_clicks: Mapping[int, tuple[int, int]] = field(default_factory=dict)


def cells(outcomes: Iterable[Outcomes], curve: DelayCurve, now: datetime) -> list[Cell]:
    """Sum up outcomes by campaign, wave, segment and prompt text. Bounced mails tried nothing."""
    sums: dict[tuple[str, int, str, str], list[float]] = defaultdict(lambda: [0, 0, 0.0])
    for outcome in outcomes:
        if outcome.bounced and not outcome.clicked:
            continue
        key = (
            # Waves leave at different times and with different shares: an arm that got more of a
            # lively wave must not look better for it.
            f"{outcome.campaign_id}/{outcome.wave}/{outcome.segment_id}",
            outcome.segment_id,
            outcome.prompt,
            outcome.prompt_version,
        )
        total = sums[key]
        total[0] += 1
        total[1] += outcome.clicked
        total[2] += curve.exposure(outcome, now)
    return [
        Cell(*key, sends=int(sends), clicks=int(clicks), exposure=max(exposure, float(clicks)))
        for key, (sends, clicks, exposure) in sorted(sums.items())
    ]


def pool(
    data: Sequence[Cell],
    *,
    before: Mapping[PromptKey, Belief] | None = None,
    before_cells: Mapping[tuple[str, str, int], Belief] | None = None,
    rate_before: float = DEFAULT_RATE,
) -> Pooled:
    """Fit the model above.

    `before` and `before_cells` are beliefs from earlier campaigns (effects, with the weight in
    pseudo-clicks that they still deserve). Works for no data at all: everything is then as believed
    before.
    """
    before, before_cells = before or {}, before_cells or {}
    clicks = sum(cell.clicks for cell in data)
    exposure = sum(cell.exposure for cell in data)
    rate = (_RATE_WEIGHT + clicks) / (_RATE_WEIGHT / rate_before + exposure)
    prompts = sorted({(cell.prompt, cell.prompt_version) for cell in data} | set(before))
    strata = {cell.stratum: rate for cell in data}
    effects = {key: before.get(key, Belief()).effect for key in prompts}

    prompt_shape, cell_shape = _PROMPT_SHAPE, _CELL_SHAPE
    shares: dict[PromptKey, tuple[float, float]] = {}
    for sweep in range(_SWEEPS):
        met: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for cell in data:
            met[cell.stratum][0] += cell.clicks
            met[cell.stratum][1] += cell.exposure * effects[cell.prompt, cell.prompt_version]
        for stratum, (hits, base) in met.items():
            strata[stratum] = (_STRATUM_SHAPE + hits) / (_STRATUM_SHAPE / rate + base)
        expected = _expected(data, strata)
        shares = _informative(expected, effects, cell_shape)
        moved = 0.0
        for key in prompts:
            prior = _prior(before.get(key), prompt_shape)
            hits, base = shares.get(key, (0.0, 0.0))
            effect = (prior.shape + hits) / (prior.shape / prior.effect + base)
            moved = max(moved, abs(effect - effects[key]))
            effects[key] = effect
        if sweep % 10 == 9:
            prompt_shape = _best_prompt_shape(shares, before)
            cell_shape = _best_cell_shape(expected, effects)
        elif moved < 1e-7 and sweep > 20:
            break

    beliefs = {
        key: Belief(
            effects[key], _prior(before.get(key), prompt_shape).shape + shares.get(key, (0.0,))[0]
        )
        for key in prompts
    }
    return Pooled(
        rate=rate,
        sends=sum(cell.sends for cell in data),
        clicks=clicks,
        segments=_segment_rates(data, strata),
        strata=dict(strata),
        prompts=beliefs,
        cells=_cell_beliefs(_expected(data, strata), beliefs, before_cells, cell_shape),
        seen=_totals(data, lambda cell: (cell.prompt, cell.prompt_version, cell.segment_id)),
        segment_clicks=_totals(data, lambda cell: cell.segment_id),
    )


def posteriors(pooled: Pooled) -> list[Posterior]:
    """Beta beliefs about click rates: the overall rate (prompt ""), each segment's (prompt "" too),
    each prompt's (segment 0) and each prompt's in each segment.

    A Gamma belief of mean m and shape a becomes the Beta of mean m that weighs a clicks; a rate in a
    segment is as uncertain as effect and segment together.
    """
    found = [
        _beta(
            OVERALL, "", 0, pooled.sends, pooled.clicks, pooled.rate, _RATE_WEIGHT + pooled.clicks
        )
    ]
    for segment_id, rate in pooled.segments.items():
        sends, clicks = pooled.segment_clicks[segment_id]
        found.append(_beta(OVERALL, "", segment_id, sends, clicks, rate, _STRATUM_SHAPE + clicks))
    for key, belief in pooled.prompts.items():
        seen = [counts for cell, counts in pooled.seen.items() if cell[:2] == key]
        sends, clicks = sum(n for n, _ in seen), sum(c for _, c in seen)
        found.append(_beta(*key, 0, sends, clicks, pooled.rate * belief.effect, belief.shape))
    for (name, version, segment_id), belief in pooled.cells.items():
        sends, clicks = pooled.seen.get((name, version, segment_id), (0, 0))
        base = pooled.segments.get(segment_id, pooled.rate)
        base_shape = _STRATUM_SHAPE + pooled.segment_clicks.get(segment_id, (0, 0))[1]
        shape = 1 / (1 / belief.shape + 1 / base_shape)
        found.append(_beta(name, version, segment_id, sends, clicks, base * belief.effect, shape))
    return found


def beliefs_before(
    known: Iterable[Posterior], *, discount: float = 0.5, most: float = 60.0
) -> tuple[dict[PromptKey, Belief], dict[tuple[str, str, int], Belief], float]:
    """Earlier posteriors as beliefs for a new campaign: effects of prompts, of prompts in segments, and
    the overall rate. Weights are halved (`discount`) and capped (`most` pseudo-clicks), so that a new
    campaign, another product and another season can still change our mind."""
    kept = list(known)
    rate = next((p.mean for p in kept if p.prompt == OVERALL and p.segment_id == 0), DEFAULT_RATE)
    base = {p.segment_id: p.mean for p in kept if p.prompt == OVERALL}
    prompts: dict[PromptKey, Belief] = {}
    in_segments: dict[tuple[str, str, int], Belief] = {}
    for p in kept:
        if p.prompt == OVERALL:
            continue
        effect = p.mean / base.get(p.segment_id, rate)
        if p.segment_id == 0:
            prompts[p.prompt, p.prompt_version] = Belief(effect, min(most, discount * p.alpha))
        else:
            # Only what was seen in the segment itself: what it borrowed is in the prompt's belief.
            in_segments[p.prompt, p.prompt_version, p.segment_id] = Belief(
                effect, min(most, discount * p.clicks)
            )
    return prompts, in_segments, rate


def refit_due(outcomes_now: int, outcomes_at_last_fit: int | None, refit_after: int) -> bool:
    """Whether enough is new since the last fit (or there was none and something is known)."""
    if outcomes_at_last_fit is None:
        return outcomes_now > 0
    return outcomes_now - outcomes_at_last_fit >= refit_after


def _prior(belief: Belief | None, shape: float) -> Belief:
    """A belief from before never weighs less than knowing nothing does."""
    if belief is None:
        return Belief(1.0, shape)
    return Belief(belief.effect, max(belief.shape, shape))


def _expected(
    data: Sequence[Cell], strata: Mapping[str, float]
) -> dict[tuple[str, str, int], tuple[float, float]]:
    """(prompt, version, segment) -> clicks, and clicks expected of a prompt like any other."""
    found: dict[tuple[str, str, int], tuple[float, float]] = {}
    for cell in data:
        key = (cell.prompt, cell.prompt_version, cell.segment_id)
        hits, base = found.get(key, (0.0, 0.0))
        found[key] = (hits + cell.clicks, base + cell.exposure * strata[cell.stratum])
    return found


def _informative(
    expected: Mapping[tuple[str, str, int], tuple[float, float]],
    effects: Mapping[PromptKey, float],
    cell_shape: float,
) -> dict[PromptKey, tuple[float, float]]:
    """What each segment says about the prompt as such: never more than `cell_shape` clicks' worth,
    because the segment's own deviation hides behind its data (precision of a random effect)."""
    found: dict[PromptKey, tuple[float, float]] = {}
    for (name, version, _), (hits, base) in expected.items():
        keep = 1.0 / (1.0 + base * effects[name, version] / cell_shape)
        before = found.get((name, version), (0.0, 0.0))
        found[name, version] = (before[0] + keep * hits, before[1] + keep * base)
    return found


def _cell_beliefs(
    expected: Mapping[tuple[str, str, int], tuple[float, float]],
    prompts: Mapping[PromptKey, Belief],
    before: Mapping[tuple[str, str, int], Belief],
    cell_shape: float,
) -> dict[tuple[str, str, int], Belief]:
    found = {}
    for key in sorted(set(expected) | {key for key in before if key[:2] in prompts}):
        prompt = prompts[key[0], key[1]]
        shape, rate = cell_shape, cell_shape / prompt.effect
        pull = rate
        if key in before and before[key].shape > 0:
            # What this segment showed earlier, beyond what the prompt shows everywhere.
            shape += before[key].shape
            rate += before[key].shape / max(before[key].effect, 1e-6)
        hits, base = expected.get(key, (0.0, 0.0))
        mean = (shape + hits) / (rate + base)
        spread = mean / (rate + base)
        # The prompt's effect is itself uncertain; that uncertainty passes on to what leans on it.
        lean = pull / (rate + base)
        spread += (lean * prompt.effect) ** 2 / max(prompt.shape, 1e-9)
        found[key] = Belief(mean, mean**2 / spread)
    return found


def _best_prompt_shape(
    shares: Mapping[PromptKey, tuple[float, float]], before: Mapping[PromptKey, Belief]
) -> float:
    new = [counts for key, counts in shares.items() if key not in before]
    return max(
        _SHAPES,
        key=lambda shape: (
            _hyper(shape, _PROMPT_SHAPE) + sum(_marginal(hits, base, shape) for hits, base in new)
        ),
    )


def _best_cell_shape(
    expected: Mapping[tuple[str, str, int], tuple[float, float]], effects: Mapping[PromptKey, float]
) -> float:
    return max(
        _SHAPES,
        key=lambda shape: (
            _hyper(shape, _CELL_SHAPE)
            + sum(
                _marginal(hits, base * effects[name, version], shape)
                for (name, version, _), (hits, base) in expected.items()
            )
        ),
    )


def _hyper(shape: float, centre: float) -> float:
    """Log-normal hyperprior with a factor e as one standard deviation."""
    return -0.5 * math.log(shape / centre) ** 2


def _marginal(hits: float, base: float, shape: float) -> float:
    """Log of the negative binomial that a Gamma(shape) mixture of Poissons makes, up to a constant."""
    return (
        math.lgamma(shape + hits)
        - math.lgamma(shape)
        + shape * math.log(shape / (shape + base))
        + hits * math.log(max(base, 1e-12) / (shape + base))
    )


def _segment_rates(data: Sequence[Cell], strata: Mapping[str, float]) -> dict[int, float]:
    """Each segment's rate: its strata's, weighted by what was sent there."""
    sums: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for cell in data:
        weight = max(cell.exposure, 1e-9)
        sums[cell.segment_id][0] += weight * strata[cell.stratum]
        sums[cell.segment_id][1] += weight
    return {segment_id: total / weight for segment_id, (total, weight) in sorted(sums.items())}


def _totals(data: Sequence[Cell], key: Callable[[Cell], K]) -> dict[K, tuple[int, int]]:
    """Sends and clicks by whatever `key` says."""
    found: dict[K, tuple[int, int]] = {}
    for cell in data:
        sends, clicks = found.get(key(cell), (0, 0))
        found[key(cell)] = (sends + cell.sends, clicks + cell.clicks)
    return found


def _beta(
    prompt: str, version: str, segment_id: int, sends: int, clicks: int, mean: float, weight: float
) -> Posterior:
    mean = min(max(mean, 1e-6), 1 - 1e-6)
    alpha = max(weight, 1e-3)
    return Posterior(
        prompt=prompt,
        prompt_version=version,
        segment_id=segment_id,
        sends=sends,
        clicks=clicks,
        alpha=alpha,
        beta=alpha * (1 - mean) / mean,
    )
