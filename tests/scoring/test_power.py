"""The forecast of a test agrees with the test: what it says can be shown is shown about as often."""

from __future__ import annotations

import numpy as np

from scoring.evaluate import ArmCount, contrast
from scoring.power import even_weight, lopsided_weight, people_needed, smallest_lift


def test_the_smallest_lift_is_shown_about_as_often_as_promised() -> None:
    people, rate = 40_000, 0.03
    found = smallest_lift(people, even_weight(people, 2), arms=2, rate=rate)
    rng = np.random.default_rng(7)
    shown = 0
    for _ in range(300):
        a, b = rng.binomial(people // 2, [rate + found.lift, rate])
        counts = [
            ArmCount("s", "A", 0.45, people // 2, int(a)),
            ArmCount("s", "B", 0.45, people // 2, int(b)),
        ]
        shown += contrast(counts, "A", "B").shown
    assert 0.7 < shown / 300 < 0.9


def test_more_people_show_less_and_more_arms_need_more() -> None:
    lifts = [
        smallest_lift(n, even_weight(n, 2), arms=2, rate=0.02).lift for n in (500, 5000, 50_000)
    ]
    assert lifts == sorted(lifts, reverse=True)
    assert smallest_lift(0, 0.0, arms=2, rate=0.02).lift == 1.0
    assert smallest_lift(500, even_weight(500, 1), arms=1, rate=0.02).lift == 1.0
    two, four = (people_needed(0.2, arms=arms, rate=0.02) for arms in (2, 4))
    assert two < four
    assert smallest_lift(two, even_weight(two, 2), arms=2, rate=0.02).relative <= 0.2
    assert lopsided_weight(1000, 2, uniform_share=0.1) < even_weight(1000, 2)
