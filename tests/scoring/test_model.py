"""The engagement model: learns what is there, says when there is nothing, and refuses to cheat."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from pigeonry.domain import Copy, Outcomes
from pigeonry.errors import WrongUse
from scoring.features import Examples, VariantKey, examples, row, text_features
from scoring.leakage import refused
from scoring.model import EngagementModel

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
QUESTION = Copy("Ești gata de 3 pași?", "p", "h", ("b",), "c")
PLAIN = Copy("Felinar e aici", "p", "h", ("b",), "c")
TEXTS: dict[VariantKey, Copy] = {
    (campaign, segment, "ro", arm): copy
    for campaign in range(6)
    for segment in (1, 2)
    for arm, copy in (("A", PLAIN), ("B", QUESTION))
}


def outcome(
    number: int,
    lead: int,
    *,
    arm: str = "A",
    clicked: bool = False,
    day: float = 0,
    segment: int = 1,
) -> Outcomes:
    sent = NOON + timedelta(days=day)
    return Outcomes(
        message_id=number, lead_id=lead, campaign_id=int(day) % 6, segment_id=segment, language="ro",
        arm=arm, prompt=f"subject/{arm}", prompt_version="1", propensity=0.5, wave=1,
        accepted_at=sent, delivered=True, opened=clicked, clicked=clicked, unsubscribed=False,
        complained=False, bounced=False,
        first_click_at=sent + timedelta(hours=2) if clicked else None,
    )  # fmt: skip


def simulated(n: int, *, seed: int = 1, effect: float = 3.0) -> list[Outcomes]:
    """Arm B is clicked `effect` times as often in segment 2, and not more in segment 1."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n):
        segment, arm = int(rng.integers(1, 3)), "AB"[rng.integers(2)]
        keen = effect if segment == 2 and arm == "B" else 1.0
        found.append(
            outcome(
                number,
                int(rng.integers(n // 3)),
                arm=arm,
                segment=segment,
                clicked=bool(rng.random() < 0.05 * keen),
                day=float(rng.integers(6)),
            )
        )
    return found


def fitted(outcomes: list[Outcomes]) -> EngagementModel:
    return EngagementModel(seed=1).fit(examples(outcomes, TEXTS))


def frame(*, segment: int, arm: str) -> pd.DataFrame:
    return pd.DataFrame(
        [
            row(
                segment_id=segment,
                language="ro",
                prompt=f"subject/{arm}",
                copy=QUESTION if arm == "B" else PLAIN,
                at=NOON,
            )
        ]
    )


def test_a_cold_start_says_that_it_is_one_and_gives_the_pooled_rate() -> None:
    model = fitted([outcome(i, i, clicked=i < 3) for i in range(100)])
    assert model.cold_start_
    assert "Cold start: 3 clicks" in model.card_["words"]
    [p] = model.predict(frame(segment=1, arm="A"))
    assert p == pytest.approx((50 * 0.02 + 3) / 150)


@pytest.mark.parametrize("clicked", [True, False])
def test_one_class_or_nothing_at_all_is_a_cold_start(clicked: bool) -> None:
    assert fitted([outcome(i, i, clicked=clicked) for i in range(100)]).cold_start_
    assert fitted([]).predict(frame(segment=1, arm="A"))[0] == pytest.approx(0.02)


@pytest.fixture(scope="module")
def learned() -> EngagementModel:
    return fitted(simulated(6000))


def test_a_model_learns_what_the_data_show_and_is_calibrated(learned: EngagementModel) -> None:
    model = learned
    assert not model.cold_start_
    assert model.card_["auc"]["low"] > 0.5
    assert model.card_["log_loss"] < model.card_["log_loss_rate"]
    keen = float(model.predict(frame(segment=2, arm="B"))[0])
    dull = float(model.predict(frame(segment=1, arm="A"))[0])
    assert keen > 1.7 * dull
    data = examples(simulated(6000), TEXTS)
    assert model.predict(data.frame).mean() == pytest.approx(data.clicked.mean(), rel=0.1)


def test_a_model_that_does_not_beat_the_rate_is_not_used() -> None:
    model = fitted(simulated(3000, effect=1.0, seed=6))
    if model.cold_start_:
        assert "no better than the pooled rate" in model.card_["words"]
    else:  # by luck a little better: then it must stay close to the rate
        assert model.card_["auc"]["estimate"] < 0.62


def test_a_model_goes_through_json_and_predicts_the_same(learned: EngagementModel) -> None:
    model = learned
    again = EngagementModel.from_json(json.loads(json.dumps(model.to_json())), model.card_)
    rows = examples(simulated(50, seed=9), TEXTS).frame
    assert again.predict(rows) == pytest.approx(model.predict(rows))
    json.dumps(model.card_)


def test_plain_parameters_predict_what_scikit_learn_would() -> None:
    from scoring import model as module

    data = examples(simulated(3000), TEXTS)
    rows = np.arange(len(data.clicked))
    columns = list(data.frame.columns)
    encoded = module._encoder(columns).fit_transform(data.frame)
    theirs = module._regression(0.1).fit(encoded, data.clicked, sample_weight=data.weight)
    ours = module._fitted(data, rows, columns, 0.1) | {"slope": 1.0, "offset": 0.0}
    assert module._predict(ours, data.frame) == pytest.approx(
        theirs.predict_proba(encoded)[:, 1], abs=1e-6
    )


def test_a_model_of_another_version_is_refused_with_what_to_do() -> None:
    with pytest.raises(WrongUse, match="fits a new one"):
        EngagementModel.from_json({"format": 99}, {})


def test_an_unknown_segment_or_prompt_is_still_predicted(learned: EngagementModel) -> None:
    [p] = learned.predict(frame(segment=77, arm="Z"))
    assert 0 < p < 1


def test_a_leads_past_holds_only_what_came_before_the_mail() -> None:
    data = examples(
        [
            outcome(1, 7, clicked=True, day=0),
            outcome(2, 7, day=0.04),  # left an hour after the first mail, before its click
            outcome(3, 7, day=3),
        ],
        TEXTS,
    )
    assert list(np.expm1(data.frame["past_sent"]).round()) == [0, 1, 2]
    assert list(np.expm1(data.frame["past_clicked"]).round()) == [0, 0, 1]


def test_text_features_see_questions_numbers_and_whom_they_address() -> None:
    found = text_features(QUESTION)
    assert found["subject_question"] == found["subject_digit"] == 1
    assert text_features(Copy("Lumina ta", "", "", (), ""))["subject_addresses"] == 1


def leaky(n: int = 400) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(2)
    y = rng.random(n) < 0.2
    columns = {
        "Lead Number": rng.permutation(n),
        "row": [f"x{i}" for i in range(n)],
        "email": ["a@b.ro"] * n,
        "Tags": rng.choice(["a", "b"], n),
        "Last Activity": rng.choice(["a", "b"], n),
        "clicked": y,
        "verdict": np.where(y, "yes", "no"),
        "score": y + rng.normal(0, 0.1, n),
        "declared": rng.random(n),
        "Country": rng.choice(["RO", "DE"], n),
        "past_clicked": rng.random(n),
        "visits": rng.poisson(3, n),
    }
    return pd.DataFrame(columns), y


def test_the_guard_names_what_identifies_and_what_came_afterwards() -> None:
    data, y = leaky()
    found = refused(data, y, declared={"declared"})
    assert set(data.columns) - set(found) == {"Country", "past_clicked", "visits"}
    assert "identifies" in found["Lead Number"]
    assert "identifies the row" in found["row"]
    assert "AUC" in found["verdict"]
    assert "AUC" in found["score"]
    assert "declared" in found["declared"]


def test_the_guard_refuses_none_of_our_own_columns() -> None:
    data: Examples = examples(simulated(3000), TEXTS)
    assert refused(data.frame, data.clicked) == {}
