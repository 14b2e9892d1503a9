"""What a test of so many people can show, before it is run: the other side of `scoring.evaluate.contrast`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from scoring.evaluate import boundary

_ROUNDS = 30  # the difference makes its own variance: a fixed point, found well before


@dataclass(frozen=True, slots=True)
class Power:
    """`lift` is the smallest difference of click rates that is shown with probability `power`, absolute;
    1.0 where nothing could be shown."""

    people: int
    rate: float
    lift: float
    power: float

    @property
    def relative(self) -> float:
        """The same as a share of the rate."""
        return self.lift / self.rate


def even_weight(people: int, arms: int) -> float:
    """Weight that `people` mailed in even shares give the contrast of two of `arms` (pq/(p+q) each)."""
    return people / (2 * arms)


def lopsided_weight(people: int, arms: int, *, uniform_share: float) -> float:
    """The same for a rest that goes to one arm but for a uniform share."""
    few = uniform_share / arms
    many = 1 - uniform_share + few
    return people * many * few / (many + few)


def smallest_lift(
    people: int, weight: float, *, arms: int, rate: float, level: float = 0.95, power: float = 0.8
) -> Power:
    """The smallest lift that an interval of `contrasts` (all pairs together at `level`, at every look)
    leaves 0 out of at the end of the test, with probability `power`.

    The estimate is about normal with variance v / weight^2, v = weight x pooled rate, and has to clear the
    boundary at v; the pooled rate is rate + lift / 2.
    """
    pairs = arms * (arms - 1) // 2
    if pairs < 1 or weight <= 0:
        return Power(people, rate, 1.0, power)
    alpha, chance = (1 - level) / pairs, NormalDist().inv_cdf(power)
    lift = 0.0
    for _ in range(_ROUNDS):
        variance = weight * min(1.0, rate + lift / 2)
        lift = min(1.0, (boundary(variance, alpha) + chance * math.sqrt(variance)) / weight)
    return Power(people, rate, lift, power)


def people_needed(
    relative: float, *, arms: int, rate: float, level: float = 0.95, power: float = 0.8
) -> int:
    """How many people in even shares show a lift of `relative` x `rate`."""
    low, high = 1, 2
    limit = 1 << 40

    def enough(people: int) -> bool:
        weight = even_weight(people, arms)
        found = smallest_lift(people, weight, arms=arms, rate=rate, level=level, power=power)
        return found.relative <= relative

    while not enough(high) and high < limit:
        low, high = high, high * 2
    while high - low > max(1, high // 200):
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
