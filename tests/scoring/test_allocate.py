"""Lots that can be drawn again, and propensities that are what they say."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from pigeonry.domain import HOLDOUT
from scoring import allocate
from scoring.allocate import assign, in_test, lot, pick, plan_test_share, rest_shares, restrict

EFFECTS = st.dictionaries(st.sampled_from("ABCDE"), st.floats(0.01, 5), min_size=1)


@given(EFFECTS, st.floats(0, 1), st.floats(0, 0.5), st.integers(1, 5))
def test_propensities_over_all_that_could_be_drawn_add_up_to_one(
    effects: dict[str, float], kept: float, holdout: float, wave: int
) -> None:
    for shares in (
        rest_shares(effects, uniform_share=kept),
        allocate.first_shares({a: e / sum(effects.values()) for a, e in effects.items()}),
    ):
        assert sum(shares.values()) == pytest.approx(1)
        assert min(shares.values()) >= 0
        assert holdout + sum((1 - holdout) * s for s in shares.values()) == pytest.approx(1)
        drawn = assign(seed=1, lead_id=2, segment_id=3, wave=wave, shares=shares, holdout=holdout)
        expected = holdout if drawn.arm == HOLDOUT else (1 - holdout) * shares[drawn.arm]
        assert drawn.propensity == expected > 0


@pytest.mark.parametrize("seed", [0, 1, 12345, -7])
def test_what_is_drawn_is_as_frequent_as_its_logged_propensity(seed: int) -> None:
    shares = {"A": 0.6, "B": 0.3, "C": 0.1}
    n = 20_000
    drawn = [
        assign(seed=seed, lead_id=i, segment_id=1, wave=1, shares=shares, holdout=0.1)
        for i in range(n)
    ]
    seen = Counter(a.arm for a in drawn)
    logged = {a.arm: a.propensity for a in drawn}
    assert sum(logged.values()) == pytest.approx(1)
    arms = sorted(logged)
    assert chisquare([seen[a] for a in arms], [n * logged[a] for a in arms]).pvalue > 1e-3


def test_a_lot_is_the_same_again_and_another_for_another_seed_lead_or_purpose() -> None:
    assert lot(1, 2, "wave") == lot(1, 2, "wave")
    assert len({lot(1, 2, "wave"), lot(2, 2, "wave"), lot(1, 3, "wave"), lot(1, 2, "arm:1")}) == 4


def test_lots_of_different_purposes_are_independent() -> None:
    pairs = np.array([(lot(5, i, "holdout"), lot(5, i, "arm:1")) for i in range(5000)])
    assert abs(np.corrcoef(pairs.T)[0, 1]) < 0.05
    assert np.histogram(pairs[:, 0], 10)[0].min() > 400


def test_the_wave_says_nothing_about_the_arm() -> None:
    shares = {"A": 0.5, "B": 0.5}
    arms = [
        assign(seed=3, lead_id=i, segment_id=1, wave=1, shares=shares, holdout=0).arm
        for i in range(20_000)
        if in_test(3, i, 0.2)
    ]
    assert 0.46 < arms.count("A") / len(arms) < 0.54


@given(EFFECTS, st.floats(0, 1, exclude_max=True))
def test_pick_never_gives_an_arm_without_a_share(effects: dict[str, float], at: float) -> None:
    shares = rest_shares(effects, uniform_share=0.0)
    assert shares[pick(shares, at)] > 0


def test_the_best_arm_gets_the_rest_but_for_the_uniform_share() -> None:
    shares = rest_shares({"A": 1.1, "B": 0.9}, uniform_share=0.1)
    assert shares == pytest.approx({"A": 0.95, "B": 0.05})


def test_arms_of_equal_mean_share_alike() -> None:
    assert rest_shares({"A": 1.0, "B": 1.0}, uniform_share=0.1) == {"A": 0.5, "B": 0.5}


def test_an_arm_stopped_for_harm_gets_nothing() -> None:
    shares = rest_shares({"A": 1.1, "B": 0.9, "C": 0.8}, uniform_share=0.1, stopped={"A"})
    assert shares["A"] == 0
    assert shares["B"] > shares["C"] > 0
    with pytest.raises(ValueError, match="every arm is stopped"):
        rest_shares({"A": 1.0}, uniform_share=0.1, stopped={"A"})


def test_a_first_test_is_even_and_a_later_one_leans_at_most_to_three_quarters_of_two() -> None:
    assert allocate.first_shares({"A": 0.5, "B": 0.5}) == {"A": 0.5, "B": 0.5}
    assert allocate.first_shares({"A": 1.0, "B": 0.0}) == {"A": 0.75, "B": 0.25}


def test_a_missing_text_leaves_the_others_in_proportion() -> None:
    shares = {"A": 0.5, "B": 0.3, "C": 0.2}
    assert restrict(shares, {"B", "C"}) == pytest.approx({"B": 0.6, "C": 0.4})
    assert restrict(shares, {"A", "B", "C"}) == shares
    assert restrict(shares, set()) == {}


def test_a_larger_list_needs_a_smaller_share_to_test() -> None:
    small = plan_test_share(2_000, 2, rate=0.03, shape=20, seed=1)
    large = plan_test_share(200_000, 2, rate=0.03, shape=20, seed=1)
    assert large.share < small.share
    assert max(large.gains.values()) > 0.8
    assert plan_test_share(1000, 1, rate=0.03, shape=20, seed=1).share == 1.0
