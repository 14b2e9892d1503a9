"""Says when a share is no longer what it was. Small on purpose: two counts, one test, plain words.

It sees sudden shifts of a share between a period before and a recent one. It does not see slow drift
within a period, drift of texts or vectors, or loss of calibration.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# |z| beyond 3.5 happens to one look in 2,000 without any drift; with a few dozen looks a month that is a
# false alarm about every four years.
_LIMIT = 3.5
_LEAST_CHANGE = 0.2  # relative; a smaller shift is not worth an alarm however certain it is
_LEAST_EXPECTED = 5.0  # events in each period, for the normal approximation


@dataclass(frozen=True, slots=True)
class Drift:
    """A share that moved. `before` and `after` are fractions; `z` is the two-sample score statistic."""

    what: str
    before: float
    after: float
    z: float

    @property
    def sentence(self) -> str:
        way = "fell" if self.after < self.before else "rose"
        return f"{self.what} {way} from {self.before:.2%} to {self.after:.2%}"


def shift(what: str, before: tuple[int, int], after: tuple[int, int]) -> Drift | None:
    """Compare (events, trials) of two periods by the two-sample score test; None: no drift shown."""
    (hits_a, n_a), (hits_b, n_b) = before, after
    if min(n_a, n_b) == 0:
        return None
    pooled = (hits_a + hits_b) / (n_a + n_b)
    if min(n_a, n_b) * pooled < _LEAST_EXPECTED or pooled in (0.0, 1.0):
        return None
    rate_a, rate_b = hits_a / n_a, hits_b / n_b
    z = (rate_b - rate_a) / math.sqrt(pooled * (1 - pooled) * (1 / n_a + 1 / n_b))
    if abs(z) < _LIMIT or abs(rate_b - rate_a) < _LEAST_CHANGE * max(rate_a, 1e-12):
        return None
    return Drift(what, rate_a, rate_b, z)
