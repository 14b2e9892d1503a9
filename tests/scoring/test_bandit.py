from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from scoring.bandit import choose

CHANCES = st.dictionaries(st.sampled_from("abcdefg"), st.floats(0, 1), min_size=1)


def test_a_first_choice_is_a_plain_lot_with_exact_probabilities() -> None:
    flat = dict.fromkeys("abc", 1 / 3)
    seen = Counter[str]()
    for seed in range(600):
        choice = choose(flat, 2, uniform_share=0.1, seed=seed)
        assert set(choice.probability.values()) == {2 / 3}
        seen.update(choice.chosen)
    assert chisquare([seen[name] for name in "abc"]).pvalue > 1e-3


@given(CHANCES, st.integers(1, 8), st.integers(0, 2**32))
def test_chosen_prompts_are_distinct_and_their_probabilities_are_probabilities(
    chances: dict[str, float], n: int, seed: int
) -> None:
    choice = choose(chances, n, uniform_share=0.1, seed=seed)
    assert len(set(choice.chosen)) == len(choice.chosen) == min(n, len(chances))
    assert all(0 < p <= 1 + 1e-9 for p in choice.probability.values())
    assert choice == choose(chances, n, uniform_share=0.1, seed=seed)


def test_a_choice_is_as_frequent_as_its_logged_probability() -> None:
    chances = {"a": 0.7, "b": 0.2, "c": 0.1, "d": 0.0}
    runs = 2000
    seen = Counter[str]()
    logged: dict[str, float] = {}
    for seed in range(runs):
        choice = choose(chances, 2, uniform_share=0.2, seed=seed)
        seen.update(choice.chosen)
        logged |= choice.probability
    assert sum(logged.values()) == pytest.approx(2)
    for name, probability in logged.items():
        assert seen[name] / runs == pytest.approx(probability, abs=0.04)
    assert logged["a"] > logged["b"] > logged["c"] > logged["d"] > 0


def test_with_many_prompts_the_probability_is_simulated_and_says_so() -> None:
    chances = {f"p{i:02}": 1.0 + (i == 3) for i in range(15)}
    choice = choose(chances, 2, uniform_share=0.1, seed=4)
    assert not choice.exact
    small = choose(dict(list(chances.items())[:12]), 2, uniform_share=0.1, seed=4)
    assert small.exact


def test_without_prompts_nothing_can_be_chosen() -> None:
    with pytest.raises(ValueError, match="at least one prompt"):
        choose({}, 2, uniform_share=0.1, seed=1)
