"""Intervals that may be looked at as often as one likes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scoring.evaluate import (
    ArmCount,
    chances_of_best,
    contrast,
    contrasts,
    lift_sentence,
    rate_interval,
    winner,
)


@given(st.integers(0, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_estimate_and_stays_a_rate(counts: tuple[int, int]) -> None:
    found = rate_interval(*counts)
    assert 0 <= found.low <= found.estimate <= found.high <= 1


def test_nothing_tried_says_nothing() -> None:
    found = rate_interval(0, 0)
    assert (found.low, found.high) == (0, 1)


def test_more_trials_narrow_the_interval() -> None:
    widths = [rate_interval(n // 50, n) for n in (100, 1000, 10_000)]
    assert widths[0].high - widths[0].low > widths[1].high - widths[1].low
    assert widths[1].high - widths[1].low > widths[2].high - widths[2].low


def test_hits_beyond_trials_are_refused() -> None:
    with pytest.raises(ValueError, match="5 hits in 4 trials"):
        rate_interval(5, 4)


def test_a_rate_leaves_its_intervals_in_at_most_one_of_twenty_runs_of_fifty_looks() -> None:
    rng = np.random.default_rng(7)
    missed = 0
    for _ in range(300):
        hits = np.cumsum(rng.binomial(60, 0.03, 50))
        missed += any(
            not (found.low <= 0.03 <= found.high)
            for look in range(50)
            for found in [rate_interval(int(hits[look]), 60 * (look + 1))]
        )
    assert missed / 300 <= 0.05


def even(clicks_a: int, clicks_b: int, n: int = 1000) -> list[ArmCount]:
    return [ArmCount("1", "A", 0.5, n, clicks_a), ArmCount("1", "B", 0.5, n, clicks_b)]


def test_a_large_difference_is_shown_and_a_small_one_is_not() -> None:
    assert contrast(even(100, 40), "A", "B").shown
    assert not contrast(even(45, 40), "A", "B").shown
    assert winner(even(100, 40)) == "A"
    assert winner(even(45, 40)) == ""


def test_the_estimate_of_even_shares_is_the_plain_difference() -> None:
    assert contrast(even(100, 40), "A", "B").interval.estimate == pytest.approx(0.06)


def test_turning_the_pair_round_turns_the_interval_round() -> None:
    one = contrast(even(70, 40), "A", "B").interval
    two = contrast(even(70, 40), "B", "A").interval
    assert one.low == pytest.approx(-two.high)


def test_a_stratum_in_which_an_arm_had_no_chance_says_nothing() -> None:
    lonely = [ArmCount("2", "A", 1.0, 5000, 900)]
    assert contrast([*even(45, 40), *lonely], "A", "B") == contrast(even(45, 40), "A", "B")
    nothing = contrast(lonely, "A", "B").interval
    assert (nothing.low, nothing.high) == (-1, 1)


def test_no_data_and_one_arm_give_no_winner() -> None:
    assert winner([]) == ""
    assert winner([ArmCount("1", "A", 1.0, 100, 50)]) == ""
    assert contrasts([]) == []


def looks(rng: np.random.Generator, rate: tuple[float, float], looks: int, batch: int) -> bool:
    """One campaign under adaptive allocation: the leader gets nearly everything, 10 % stay uniform.
    Whether any look names a winner."""
    counts: list[ArmCount] = []
    sends, clicks = np.zeros(2), np.zeros(2)
    for look in range(looks):
        best = int(np.argmax((clicks + 1) / (sends + 40)))
        share = np.array([0.05, 0.05])
        share[best] += 0.9
        n = rng.multinomial(batch, share)
        hits = rng.binomial(n, rate)
        sends, clicks = sends + n, clicks + hits
        for arm in (0, 1):
            counts.append(ArmCount(str(look), "AB"[arm], share[arm], int(n[arm]), int(hits[arm])))
        if winner(counts):
            return True
    return False


def test_an_aa_test_under_adaptive_allocation_names_a_false_winner_at_most_once_in_twenty() -> None:
    rng = np.random.default_rng(11)
    false = sum(looks(rng, (0.03, 0.03), looks=100, batch=60) for _ in range(120))
    assert false / 120 <= 0.05


def test_a_real_difference_is_found_under_adaptive_allocation() -> None:
    rng = np.random.default_rng(12)
    found = sum(looks(rng, (0.06, 0.03), looks=100, batch=200) for _ in range(40))
    assert found / 40 > 0.8


def test_the_interval_covers_the_difference_under_adaptive_shares() -> None:
    rng = np.random.default_rng(13)
    covered = 0
    for _ in range(400):
        counts = []
        for stratum, p in (("1", 0.5), ("2", 0.95), ("3", 0.1)):
            for arm, share, rate in (("A", p, 0.05), ("B", 1 - p, 0.03)):
                n = int(rng.binomial(2000, share))
                counts.append(ArmCount(stratum, arm, share, n, int(rng.binomial(n, rate))))
        found = contrast(counts, "A", "B").interval
        covered += found.low <= 0.02 <= found.high
    assert covered / 400 >= 0.95


def test_the_chance_of_being_best_adds_up_and_is_reproducible() -> None:
    beliefs = {"A": (0.03, 30.0), "B": (0.02, 20.0), "C": (0.02, 20.0)}
    found = chances_of_best(beliefs, seed=3)
    assert sum(found.values()) == pytest.approx(1)
    assert found == chances_of_best(beliefs, seed=3)
    assert found["A"] > 0.75
    assert chances_of_best({"A": (1.0, 1.0)}, seed=1) == {"A": 1.0}
    assert chances_of_best(dict.fromkeys("AB", (1.0, 20.0)), seed=1) == {"A": 0.5, "B": 0.5}


def test_words_say_shown_only_when_it_is() -> None:
    pair = contrast(even(100, 40), "A", "B")
    assert lift_sentence("A", "B", pair.interval, shown=True, base=0.04).startswith("Lift shown: A")
    assert "may be chance" in lift_sentence("A", "B", pair.interval, shown=False)
