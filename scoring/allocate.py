"""Lots and shares of a one-off campaign: holdout, test wave, and the rest to the better arms.

Test & Roll (Feit and Berman 2019, Marketing Science 38(6)) with shrunken means instead of raw ones. A lot
is a keyed hash of campaign seed and lead, so drawing it again gives the same, on every machine. Whoever
calls passes what is believed about the arms; nothing is learned here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from pigeonry.domain import HOLDOUT, Assignment

TEST_WAVE = 1
REST_WAVE = 2

# Half of the test wave is always uniform: a test that starts from what was believed before must still be
# able to find it wrong.
_TEST_UNIFORM = 0.5
_SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0)

Shares = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class SharePlan:
    """The test share that earns most clicks in the simulation; `gains` is each tried share's expected
    gain over sending all arms evenly, as a fraction of what a perfect choice would gain."""

    share: float
    gains: Mapping[float, float]


def lot(seed: int, lead_id: int, purpose: str) -> float:
    """A number in [0, 1), uniform over leads, independent between purposes (BLAKE2b, keyed)."""
    key = seed.to_bytes(16, "big", signed=True)
    digest = hashlib.blake2b(f"{purpose}:{lead_id}".encode(), key=key, digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def held_out(seed: int, lead_id: int, holdout: float) -> bool:
    return lot(seed, lead_id, HOLDOUT) < holdout


def in_test(seed: int, lead_id: int, test_share: float) -> bool:
    """Whether the lot puts a lead into the test wave; says nothing about its arm."""
    return lot(seed, lead_id, "wave") < test_share


def assign(
    *,
    seed: int,
    lead_id: int,
    segment_id: int,
    wave: int,
    shares: Shares,
    holdout: float,
) -> Assignment:
    """Draw a lead's lot in a wave.

    The propensity is the probability, given the wave, of what was drawn: `holdout` for the holdout,
    (1 - holdout) x share for an arm; over all that could be drawn they add up to one.
    """
    if held_out(seed, lead_id, holdout):
        return Assignment(lead_id, segment_id, HOLDOUT, holdout, 0, seed)
    arm = pick(shares, lot(seed, lead_id, f"arm:{wave}"))
    return Assignment(lead_id, segment_id, arm, (1 - holdout) * shares[arm], wave, seed)


def pick(shares: Shares, at: float) -> str:
    """The arm whose part of [0, 1) holds `at`; parts lie in the order of the arms' names."""
    arms = [arm for arm in sorted(shares) if shares[arm] > 0]
    edge = 0.0
    for arm in arms:
        edge += shares[arm]
        if at < edge:
            return arm
    return arms[-1]  # rounding: the parts ended a hair below 1


def uniform(arms: Collection[str]) -> dict[str, float]:
    return {arm: 1 / len(arms) for arm in sorted(arms)}


def first_shares(chances: Shares) -> dict[str, float]:
    """Shares of the test wave from each arm's chance of being best: half uniform, half by chance.

    Equal chances (a first campaign) give exactly even shares.
    """
    even = 1 / len(chances)
    if all(abs(chance - even) < 1e-9 for chance in chances.values()):
        return uniform(chances)
    return _normal({a: _TEST_UNIFORM * even + (1 - _TEST_UNIFORM) * c for a, c in chances.items()})


def rest_shares(
    effects: Shares, *, uniform_share: float, stopped: Collection[str] = ()
) -> dict[str, float]:
    """Shares of the rest: all to the arm with the highest shrunken mean but for `uniform_share`, which
    stays even. Arms of equal mean share alike. Arms `stopped` for harm get nothing, unless every arm is
    stopped: then the caller has to decide, and a ValueError says so.
    """
    open_arms = {arm: effect for arm, effect in effects.items() if arm not in stopped}
    if not open_arms:
        raise ValueError("every arm is stopped")
    top = max(open_arms.values())
    best = [arm for arm, effect in open_arms.items() if top - effect <= 1e-9 * max(abs(top), 1e-9)]
    even = uniform_share / len(open_arms)
    found = {a: even + (1 - uniform_share) / len(best) * (a in best) for a in open_arms}
    return _normal({arm: found.get(arm, 0.0) for arm in effects})


def restrict(shares: Shares, available: Collection[str]) -> dict[str, float]:
    """The same shares among the arms that have a text for a lead; {} when none has."""
    left = {arm: share for arm, share in shares.items() if arm in available}
    if not left:
        return {}
    if sum(left.values()) <= 0:
        return uniform(left)
    return _normal(left) if len(left) < len(shares) else dict(shares)


def plan_test_share(
    leads: int, arms: int, *, rate: float, shape: float, seed: int, runs: int = 2000
) -> SharePlan:
    """Choose the test share by simulating campaigns whose arms' rates come from what is believed.

    Arms' rates are rate x Gamma(shape, mean 1); each simulated campaign tests a share, takes the arm
    with the highest shrunken mean and sends it the rest. All shares meet the same simulated arms.
    """
    if arms < 2 or leads < 2:
        return SharePlan(1.0, {})
    rng = np.random.default_rng(seed)
    rates = np.minimum(rate * rng.gamma(shape, 1 / shape, (runs, arms)), 1.0)
    even, best = rates.mean(axis=1), rates.max(axis=1)
    gains = {}
    for share in _SHARES:
        n = max(1, round(leads * share / arms))
        clicks = rng.binomial(n, rates)
        mean = (shape + clicks) / (shape / rate + n)
        chosen = rates[np.arange(runs), np.argmax(mean + rng.uniform(0, 1e-12, mean.shape), axis=1)]
        earned = share * even + (1 - share) * chosen
        gains[share] = float((earned - even).mean() / max((best - even).mean(), 1e-12))
    return SharePlan(max(gains, key=lambda share: gains[share]), gains)


def _normal(shares: Shares) -> dict[str, float]:
    total = sum(shares.values())
    return {arm: share / total for arm, share in sorted(shares.items())}
