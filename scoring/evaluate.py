"""Intervals that hold at every look, for rates and for differences between arms. Reads counts, knows no
database and chooses nothing.

Sources: Robbins (1970) and Howard, Ramdas, McAuliffe, Sekhon (2021, Annals of Statistics 49(2)) for
mixture martingales and the normal-mixture boundary; Liang and Bojinov (2023, "An experimental design for
anytime-valid causal inference on multi-armed bandits", MAD) for its use on inverse-propensity increments
under adaptive allocation with a uniform share; Bibaut et al. (2021) and Hadad et al. (2021, PNAS) for
weighing increments by what is known before they are drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pigeonry.domain import Interval

# The difference's interval is narrowest when about this much variance has come in: a quarter of all
# clicks under even shares, so 100 clicks. Fixed beforehand, because a tuning that looks at the data
# would void the guarantee.
_TUNED_AT = 25.0


@dataclass(frozen=True, slots=True)
class ArmCount:
    """What one arm did in one stratum (a wave of a segment), where its propensity was one number."""

    stratum: str
    arm: str
    propensity: float
    sends: int
    clicks: int


@dataclass(frozen=True, slots=True)
class Contrast:
    """`first` minus `second`, as a difference of click rates. `shown`: 0 lies outside the interval."""

    first: str
    second: str
    interval: Interval

    @property
    def shown(self) -> bool:
        return self.interval.low > 0 or self.interval.high < 0


def rate_interval(hits: int, trials: int, *, level: float = 0.95) -> Interval:
    """Anytime-valid interval of a rate from independent trials.

    Robbins' mixture with a Beta(1/2, 1/2) weight: all p for which the mixture likelihood ratio
    B(1/2 + hits, 1/2 + misses) / B(1/2, 1/2) / (p^hits (1-p)^misses) is below 1 / (1 - level). By
    Ville's inequality the true rate ever leaves the intervals with probability at most 1 - level.
    """
    if not 0 <= hits <= trials:
        raise ValueError(f"{hits} hits in {trials} trials")
    if trials == 0:
        return Interval(0.0, 0.0, 1.0, level)
    misses = trials - hits
    limit = _log_beta(0.5 + hits, 0.5 + misses) - _log_beta(0.5, 0.5) + math.log(1 - level)
    estimate = hits / trials

    def inside(p: float) -> bool:
        return _log_likelihood(p, hits, misses) >= limit

    low = 0.0 if hits == 0 else _edge(inside, estimate, 0.0)
    high = 1.0 if misses == 0 else _edge(inside, estimate, 1.0)
    return Interval(estimate, low, high, level)


def contrast(
    counts: Sequence[ArmCount], first: str, second: str, *, level: float = 0.95
) -> Contrast:
    """Anytime-valid interval of `first` minus `second` under adaptive allocation.

    Each send gives the increment X = Y/p for `first`, -Y/q for `second`, 0 for others, unbiased for the
    difference whatever was learned before it was drawn (p, q: logged propensities). Increments are
    weighed by h = pq/(p+q), known before the draw, so that lopsided shares do not blow up the variance;
    the estimate is the mean of the strata's differences with these weights. The boundary is the normal
    mixture of MAD with variance the larger of the sum of squares and its expectation at the strata's
    pooled rates (the second guards against an arm that has not clicked yet). Asymptotic in the number of
    clicks; exact for equal shares and no difference, where increments are symmetric.
    """
    strata: dict[str, dict[str, ArmCount]] = {}
    for count in counts:
        known = strata.setdefault(count.stratum, {})
        if count.arm in known:
            raise ValueError(f"arm {count.arm} twice in stratum {count.stratum}")
        known[count.arm] = count
    total = weight = squares = expected = 0.0
    for arms in strata.values():
        a, b = arms.get(first), arms.get(second)
        if a is None and b is None:
            continue
        p = a.propensity if a else 0.0
        q = b.propensity if b else 0.0
        if p <= 0 or q <= 0:  # one of them had no chance here: the stratum says nothing of both
            continue
        clicks_a, clicks_b = (a.clicks if a else 0), (b.clicks if b else 0)
        sends = (a.sends if a else 0) + (b.sends if b else 0)
        # In this stratum n leads drew, of whom a share p + q drew one of the two arms.
        n = sends / (p + q)
        h = p * q / (p + q)
        up, down = h / p, h / q
        total += up * clicks_a - down * clicks_b
        weight += h * n
        squares += up**2 * clicks_a + down**2 * clicks_b
        pooled = (clicks_a + clicks_b) / sends if sends else 0.0
        expected += n * pooled * h
    if weight == 0:
        return Contrast(first, second, Interval(0.0, -1.0, 1.0, level))
    spread = boundary(max(squares, expected), 1 - level) / weight
    estimate = total / weight
    return Contrast(
        first,
        second,
        Interval(estimate, max(-1.0, estimate - spread), min(1.0, estimate + spread), level),
    )


def contrasts(counts: Sequence[ArmCount], *, level: float = 0.95) -> list[Contrast]:
    """All pairs of arms, the level shared among them (Bonferroni), so that all hold together."""
    arms = sorted({count.arm for count in counts})
    pairs = [(a, b) for i, a in enumerate(arms) for b in arms[i + 1 :]]
    each = 1 - (1 - level) / max(1, len(pairs))
    return [contrast(counts, a, b, level=each) for a, b in pairs]


def winner(counts: Sequence[ArmCount], *, level: float = 0.95) -> str:
    """The arm that is shown to be better than every other one, or ""."""
    beaten: dict[str, int] = {count.arm: 0 for count in counts}
    for pair in contrasts(counts, level=level):
        if pair.shown:
            beaten[pair.first if pair.interval.low > 0 else pair.second] += 1
    return next((arm for arm, count in beaten.items() if count == len(beaten) - 1 > 0), "")


def chances_of_best(
    beliefs: Mapping[str, tuple[float, float]], *, seed: int, draws: int = 4000
) -> dict[str, float]:
    """P(arm is the best) by seeded draws from Gamma beliefs (mean, shape); ties are shared.

    Equal beliefs give exactly equal chances; else accurate to about 1 / sqrt(draws) (95 %).
    """
    arms = sorted(beliefs)
    if not arms:
        return {}
    if len({beliefs[arm] for arm in arms}) == 1:
        return {arm: 1 / len(arms) for arm in arms}
    rng = np.random.default_rng(seed)
    drawn = np.stack(
        [rng.gamma(beliefs[arm][1], beliefs[arm][0] / beliefs[arm][1], size=draws) for arm in arms]
    )
    return dict(zip(arms, _best_shares(drawn), strict=True))


def lift_sentence(
    better: str, worse: str, interval: Interval, *, shown: bool, base: float | None = None
) -> str:
    """What may be said about a difference, and nothing more."""
    points = f"{interval.estimate * 100:+.2f} points"
    span = f"{interval.level:.0%} interval {interval.low * 100:+.2f} to {interval.high * 100:+.2f}"
    relative = f", {interval.estimate / base:+.0%}" if base else ""
    if shown:
        return f"Lift shown: {better} against {worse} {points}{relative} ({span})."
    return (
        f"Lift not shown: {better} against {worse} {points} ({span}); the interval holds 0, so the "
        "difference may be chance."
    )


def _best_shares(drawn: NDArray[np.float64]) -> list[float]:
    """Share of columns in which each row is the highest, ties shared. Shape (arms, draws)."""
    top = drawn == drawn.max(axis=0)
    return [float(share) for share in (top / top.sum(axis=0)).mean(axis=1)]


def boundary(variance: float, alpha: float) -> float:
    """Two-sided normal-mixture boundary: |S| stays below it at all times with probability 1 - alpha.

    sqrt((v + r) log((v + r) / (r alpha^2))) with r chosen for the least width at v = _TUNED_AT (Howard
    et al. 2021, eq. 14 and proposition 3).
    """
    r = _TUNED_AT / (-2 * math.log(alpha) + math.log(-2 * math.log(alpha) + 1))
    return math.sqrt((variance + r) * math.log((variance + r) / (r * alpha**2)))


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _log_likelihood(p: float, hits: int, misses: int) -> float:
    found = 0.0
    if hits:
        found += hits * math.log(p) if p > 0 else -math.inf
    if misses:
        found += misses * math.log1p(-p) if p < 1 else -math.inf
    return found


def _edge(inside: Callable[[float], bool], good: float, bad: float) -> float:
    """The border between a point inside and one outside, by bisection, from the outside."""
    for _ in range(60):
        middle = (good + bad) / 2
        if inside(middle):
            good = middle
        else:
            bad = middle
    return bad
