from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.drift import shift
from feedback.learn import (
    DEFAULT_RATE,
    OVERALL,
    Belief,
    Cell,
    beliefs_before,
    cells,
    pool,
    posteriors,
    refit_due,
)
from feedback.rewards import half_life_curve
from pigeonry.domain import Outcomes

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
A, B = ("a", "1"), ("b", "1")


def cell(
    prompt: tuple[str, str], clicks: int, sends: int, *, segment: int = 1, campaign: int = 1
) -> Cell:
    return Cell(f"{campaign}/{segment}", segment, *prompt, sends, clicks, float(sends))


def test_without_data_everything_is_as_believed_before() -> None:
    pooled = pool([], before={A: Belief(1.3, 40)}, rate_before=0.05)
    assert pooled.rate == pytest.approx(0.05)
    assert pooled.prompts[A].effect == pytest.approx(1.3)
    [overall, only] = posteriors(pooled)
    assert overall.prompt == OVERALL
    assert only.mean == pytest.approx(0.065)


def test_the_prompt_that_earned_more_is_believed_to_be_better_and_pulled_to_the_mean() -> None:
    pooled = pool([cell(A, 40, 1000), cell(B, 20, 1000)])
    assert 1 < pooled.prompts[A].effect < 40 / 30
    assert 20 / 30 < pooled.prompts[B].effect < 1


def test_a_prompt_gets_no_credit_for_an_eager_segment() -> None:
    # Both prompts do equally well wherever both are used; A was mostly used among eager people.
    data = [
        cell(A, 180, 1800, segment=1),
        cell(B, 20, 200, segment=1),
        cell(A, 2, 200, segment=2),
        cell(B, 18, 1800, segment=2),
    ]
    pooled = pool(data)
    assert pooled.prompts[A].effect == pytest.approx(pooled.prompts[B].effect, rel=0.05)
    assert pooled.segments[1] > 5 * pooled.segments[2]


def test_a_small_segment_leans_on_what_is_known_of_the_prompt_elsewhere() -> None:
    data = [
        cell(A, 60, 1000, segment=1),
        cell(B, 30, 1000, segment=1),
        cell(A, 0, 20, segment=2),
        cell(B, 1, 20, segment=2),
    ]
    believed = pool(data).cells
    assert believed["a", "1", 2].effect > believed["b", "1", 2].effect


def test_a_large_segment_overrules_the_pool() -> None:
    data = [cell(A, 90, 3000, segment=s) for s in (1, 2)] + [
        cell(B, 60, 3000, segment=s) for s in (1, 2)
    ]
    data += [cell(A, 100, 5000, segment=3), cell(B, 250, 5000, segment=3)]
    believed = pool(data).cells
    assert believed["a", "1", 1].effect > believed["b", "1", 1].effect
    assert believed["b", "1", 3].effect > believed["a", "1", 3].effect


def test_a_new_campaign_can_change_a_mind() -> None:
    first = posteriors(pool([cell(A, 400, 10_000), cell(B, 200, 10_000)]))
    prompts, in_segments, rate = beliefs_before(first)
    assert prompts[A].effect > 1.15
    assert prompts[A].shape <= 60
    second = pool(
        [cell(A, 100, 5000, campaign=2), cell(B, 250, 5000, campaign=2)],
        before=prompts,
        before_cells=in_segments,
        rate_before=rate,
    )
    assert second.cells["b", "1", 1].effect > second.cells["a", "1", 1].effect


def test_what_was_learned_favours_the_better_prompt_before_the_next_campaign_sends() -> None:
    prompts, in_segments, rate = beliefs_before(
        posteriors(pool([cell(A, 60, 1000), cell(B, 30, 1000)]))
    )
    before = pool([], before=prompts, before_cells=in_segments, rate_before=rate)
    assert before.cells["a", "1", 1].effect > before.cells["b", "1", 1].effect


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 4), st.integers(0, 500), st.floats(0, 1)),
        max_size=12,
        unique_by=lambda row: row[:2],
    )
)
def test_beliefs_are_finite_and_positive_for_any_counts(
    rows: list[tuple[str, int, int, float]],
) -> None:
    data = [cell((p, "1"), int(n * share), n, segment=s) for p, s, n, share in rows]
    for posterior in posteriors(pool(data)):
        assert 0 < posterior.alpha < np.inf
        assert 0 < posterior.beta < np.inf
        assert 0 < posterior.mean < 1


def test_intervals_of_the_posterior_cover_the_truth() -> None:
    rng = np.random.default_rng(3)
    inside = total = 0
    for _ in range(60):
        effects = rng.gamma(20, 1 / 20, 3)
        data = []
        truth = {}
        for segment in (1, 2, 3):
            base = rng.uniform(0.02, 0.06)
            for p in range(3):
                true = base * effects[p] * rng.gamma(60, 1 / 60)
                truth[str(p), segment] = true
                data.append(cell((str(p), "1"), rng.binomial(800, true), 800, segment=segment))
        for b in posteriors(pool(data)):
            if b.prompt and b.segment_id:
                draws = rng.beta(b.alpha, b.beta, 400)
                low, high = np.quantile(draws, [0.05, 0.95])
                inside += low <= truth[b.prompt, b.segment_id] <= high
                total += 1
    assert 0.85 < inside / total < 0.97  # nominally 0.90


def outcome(hours_ago: float, clicked: bool = False) -> Outcomes:
    sent = NOON - timedelta(hours=hours_ago)
    return Outcomes(
        1, 1, 1, 1, "ro", "A", "a", "1", 0.5, 1, sent, True, clicked, clicked, False, False, False
    )


def test_an_unmatured_send_is_not_a_failure() -> None:
    curve = half_life_curve(24)
    young = cells([outcome(0.01) for _ in range(1000)], curve, NOON)[0]
    old = cells([outcome(1000) for _ in range(1000)], curve, NOON)[0]
    assert young.sends == old.sends == 1000
    assert young.exposure < 1
    assert old.exposure == pytest.approx(1000)
    assert pool([young]).rate == pytest.approx(DEFAULT_RATE, rel=0.02)
    assert pool([old]).rate < DEFAULT_RATE / 10


def test_a_bounced_mail_tried_nothing() -> None:
    assert cells([replace(outcome(50), bounced=True)], half_life_curve(24), NOON) == []


def test_a_refit_waits_until_enough_is_new() -> None:
    assert refit_due(1, None, 200)
    assert not refit_due(0, None, 200)
    assert not refit_due(399, 200, 200)
    assert refit_due(400, 200, 200)


def test_a_drop_of_a_share_is_called_and_noise_is_not() -> None:
    found = shift("acceptance", (900, 1000), (700, 1000))
    assert found is not None
    assert "fell from 90.00% to 70.00%" in found.sentence
    assert shift("acceptance", (900, 1000), (890, 1000)) is None
    assert shift("clicks", (0, 0), (3, 10)) is None
    rng = np.random.default_rng(1)
    calls = [
        shift("x", (int(a), 500), (int(b), 500)) is not None
        for a, b in rng.binomial(500, 0.1, (4000, 2))
    ]
    assert np.mean(calls) < 0.002


def test_an_arm_that_got_most_of_a_lively_wave_gets_no_credit_for_it() -> None:
    def mails(prompt: str, wave: int, sends: int, clicks: int) -> list[Outcomes]:
        base = replace(outcome(900), prompt=prompt, wave=wave)
        return [replace(base, clicked=n < clicks) for n in range(sends)]

    data = (
        mails("a", 1, 200, 8)
        + mails("b", 1, 200, 8)
        + mails("a", 2, 1900, 228)
        + mails("b", 2, 100, 12)
    )
    pooled = pool(cells(data, half_life_curve(24), NOON))
    assert pooled.prompts[A].effect == pytest.approx(pooled.prompts[B].effect, rel=0.05)
