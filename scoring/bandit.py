"""Which prompts a campaign tries: top-two Thompson over what is believed of each. Draws no copy, reads no
events.

Top-two Thompson sampling (Russo 2016, "Simple Bayesian algorithms for best arm identification"): the
first is drawn by its chance of being best, each next one by its chance of being best given that it is
another. Chances of being best come from a seeded Monte Carlo and are mixed with a uniform share; given
these weights, the probability of each choice is computed exactly, by summing over orders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

_EXACT = 12  # prompts up to which orders are summed; 2^12 subsets
_DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Choice:
    """Chosen prompts in the order in which they were drawn. `probability` is each one's chance of being
    among the chosen given `weights`; `exact` is False where that chance was simulated (many prompts)."""

    chosen: tuple[str, ...]
    probability: Mapping[str, float]
    weights: Mapping[str, float]
    exact: bool = True


def choose(chances: Mapping[str, float], n: int, *, uniform_share: float, seed: int) -> Choice:
    """Draw `n` of the prompts whose chances of being best are given.

    With equal chances (nothing is known yet) this is a plain lot: each has n / K exactly.
    Raises ValueError without prompts or with n < 1.
    """
    names = sorted(chances)
    if not names or n < 1:
        raise ValueError("choosing needs at least one prompt and one place")
    n = min(n, len(names))
    even = 1 / len(names)
    total = sum(chances.values()) or 1.0
    weights = {
        name: uniform_share * even + (1 - uniform_share) * chances[name] / total for name in names
    }
    if max(weights.values()) - min(weights.values()) < 1e-12:
        weights = dict.fromkeys(names, even)
        included = dict.fromkeys(names, n / len(names))
        exact = True
    else:
        exact = len(names) <= _EXACT
        values = tuple(weights[name] for name in names)
        found = _inclusion(values, n) if exact else _simulated(values, n, seed)
        included = dict(zip(names, found, strict=True))
    rng = np.random.default_rng(seed)
    chosen: list[str] = []
    left = list(names)
    for _ in range(n):
        share = np.array([weights[name] for name in left])
        if share.sum() <= 0:
            share = np.ones(len(left))
        chosen.append(left.pop(int(rng.choice(len(left), p=share / share.sum()))))
    return Choice(tuple(chosen), {name: included[name] for name in chosen}, weights, exact)


def _inclusion(weights: tuple[float, ...], n: int) -> list[float]:
    """P(each is among the first n of successive draws without replacement), summed over subsets."""

    @cache
    def reached(subset: int, size: int) -> float:
        """P(the first `size` drawn are exactly this subset)."""
        if size == 0:
            return 1.0
        found = 0.0
        for i, weight in enumerate(weights):
            if subset >> i & 1:
                before = subset & ~(1 << i)
                left = [w for j, w in enumerate(weights) if not before >> j & 1]
                rest = sum(left)
                step = weight / rest if rest > 0 else 1 / len(left)
                found += reached(before, size - 1) * step
        return found

    k = len(weights)
    sets = [subset for subset in range(1 << k) if subset.bit_count() == n]
    return [sum(reached(subset, n) for subset in sets if subset >> i & 1) for i in range(k)]


def _simulated(weights: tuple[float, ...], n: int, seed: int) -> list[float]:
    """The same by simulation (Efraimidis-Spirakis keys), accurate to about 1 / sqrt(20,000)."""
    rng = np.random.default_rng(seed + 1)
    keys = np.log(rng.uniform(size=(_DRAWS, len(weights)))) / np.maximum(weights, 1e-300)
    first = np.argsort(-keys, axis=1)[:, :n]
    return [float((first == i).any(axis=1).mean()) for i in range(len(weights))]
