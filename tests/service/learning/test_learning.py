"""What one campaign taught decides how the next one starts, and nothing else does."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from pigeonry.cli import cli
from pigeonry.errors import WrongUse
from pigeonry.service.assigning import assign_rest, assign_test
from pigeonry.service.events import ingest_events
from pigeonry.service.learning import choose_arms, learn, score_variants
from pigeonry.store import campaigns, posteriors
from pigeonry.store.models import EngagementModel
from tests.service.learning.world import NOON, PROMPTS, World, clicks, sendgrid

LATER = NOON + timedelta(days=9)
Make = Callable[[int], World]


@dataclass(frozen=True)
class Prompt:
    name: str
    version: str


THREE = [
    Prompt("subject/benefit", "a" * 16),
    Prompt("subject/question", "b" * 16),
    Prompt("subject/direct", "c" * 16),
]


def taught(w: World, *, a: float, b: float, segment_swaps: bool = False) -> int:
    """A campaign to everybody in which the given shares of both arms' readers click."""
    number = w.campaign()
    keys = w.sent(number, arm_of=lambda lead: "AB"[lead // 2 % 2])
    lot = random.Random(4)
    chosen = []
    for lead, key in zip(w.lead_ids, keys, strict=True):
        first = (lead // 2 % 2 == 0) ^ (segment_swaps and lead % 2 == 1)
        if lot.random() < (a if first else b):
            chosen.append(key)
    ingest_events(w.db, w.home, clicks(chosen), source="sendgrid", now=LATER)
    return number


def test_a_first_campaign_draws_its_prompts_by_plain_lot(small: Make) -> None:
    w = small(4)
    seen = Counter[str]()
    for seed in range(60):
        number = w.campaign(f"N{seed}", seed=seed, arms=False)
        arms = choose_arms(w.db, w.home, number, THREE, now=NOON)
        assert list(arms) == ["A", "B"]
        assert [plan.probability for plan in arms.values()] == [2 / 3, 2 / 3]
        seen.update(plan.prompt for plan in arms.values())
    assert min(seen.values()) > 25


def test_arms_once_chosen_stay(world: Make) -> None:
    w = world(2)
    number = w.campaign(arms=False)
    first = choose_arms(w.db, w.home, number, THREE, now=NOON)
    assert choose_arms(w.db, w.home, number, THREE[:1], now=LATER) == first


def test_choosing_without_prompts_is_refused(small: Make) -> None:
    w = small(2)
    with pytest.raises(WrongUse, match="no prompts"):
        choose_arms(w.db, w.home, w.campaign(arms=False), [], now=NOON)


def test_learning_gives_beliefs_for_each_prompt_and_segment_and_can_be_repeated(
    world: Make,
) -> None:
    w = world(600)
    taught(w, a=0.05, b=0.2)
    report = learn(w.db, w.home, now=LATER)
    assert report.outcomes == 600
    assert report.updated == 6  # two prompts, pooled and in two segments
    with w.db.read() as session:
        first = posteriors.every(session)
    learn(w.db, w.home, now=LATER)
    with w.db.read() as session:
        assert posteriors.every(session) == first
    pooled = {b.prompt: b for b in first if b.prompt and b.segment_id == 0}
    assert pooled["subject/question"].mean > 1.5 * pooled["subject/benefit"].mean
    assert sum(b.sends for b in pooled.values()) == 600


def test_the_second_campaign_chooses_the_better_prompt_more_often_and_starts_from_it(
    small: Make,
) -> None:
    w = small(800)
    taught(w, a=0.04, b=0.2)
    learn(w.db, w.home, now=LATER)
    seen = Counter[str]()
    for seed in range(40):
        number = w.campaign(f"N{seed}", seed=seed, arms=False, at=LATER)
        arms = choose_arms(w.db, w.home, number, THREE, now=LATER)
        seen.update(plan.prompt for plan in arms.values())
    assert seen["subject/question"] > 35 > seen["subject/benefit"] > 0
    number = w.campaign("Second", arms=False, at=LATER)
    with w.db.write() as session:
        campaigns.set_arms(
            session, number, {a: campaigns.ArmPlan(*p, 1.0) for a, p in PROMPTS.items()}, LATER
        )
        w.variants(session, number, PROMPTS, LATER)
        from pigeonry.service.outcomes import snapshot

        campaigns.add_to_plan(session, number, {"beliefs": snapshot(posteriors.every(session))})
    shares = assign_test(w.db, w.home, number, now=LATER).shares
    for found in shares.values():
        assert 0.6 < found["B"] <= 0.75
    rest = assign_rest(w.db, w.home, number, now=LATER).shares
    assert all(found["B"] == pytest.approx(0.95) for found in rest.values())


def test_segments_that_differ_are_believed_to_differ(small: Make) -> None:
    w = small(1200)
    taught(w, a=0.03, b=0.2, segment_swaps=True)
    learn(w.db, w.home, now=LATER)
    with w.db.read() as session:
        cells = {(b.prompt, b.segment_id): b.mean for b in posteriors.every(session)}
    one, two = w.segments
    better = [
        cells["subject/question", segment] > cells["subject/benefit", segment]
        for segment in (one, two)
    ]
    assert sorted(better) == [False, True]


def test_machines_teach_nothing(small: Make) -> None:
    w = small(400)
    number = w.campaign()
    keys = w.sent(number, arm_of=lambda lead: "AB"[lead // 2 % 2])
    raws = [
        sendgrid(
            "click",
            key,
            at=NOON + timedelta(seconds=2),
            useragent="Barracuda",
            url="https://x.example",
        )
        for lead, key in zip(w.lead_ids, keys, strict=True)
        if lead // 2 % 2
    ]
    ingest_events(w.db, w.home, json.dumps(raws).encode(), source="sendgrid", now=LATER)
    report = learn(w.db, w.home, now=LATER)
    assert report.clicks == 0
    with w.db.read() as session:
        means = [b.mean for b in posteriors.every(session) if b.prompt and not b.segment_id]
    assert means[0] == pytest.approx(means[1], rel=1e-3)


def test_learning_from_nothing_changes_nothing_and_says_so(small: Make) -> None:
    w = small(4)
    report = learn(w.db, w.home, now=LATER)
    assert (report.updated, report.refit, report.outcomes) == (0, False, 0)
    with w.db.read() as session:
        assert posteriors.every(session) == []


def test_a_model_is_fitted_when_enough_is_new_and_says_what_it_is_worth(small: Make) -> None:
    w = small(300)
    taught(w, a=0.01, b=0.02)
    first = learn(w.db, w.home, now=LATER)
    assert first.refit
    assert first.cold_start
    assert "Cold start" in first.model
    again = learn(w.db, w.home, now=LATER)
    assert not again.refit
    with w.db.read() as session:
        assert session.scalar(select(func.count()).select_from(EngagementModel)) == 1


def test_a_sudden_fall_of_clicks_is_called_drift(small: Make) -> None:
    w = small(1000)
    taught(w, a=0.2, b=0.2)
    w.sent(w.campaign("Later"), at=NOON + timedelta(days=20))
    report = learn(w.db, w.home, now=NOON + timedelta(days=26))
    assert [d.what for d in report.drift] == ["human clicks for each mail"]
    assert any("DRIFT" in line for line in report.lines())


def predictions(w: World, number: int) -> Sequence[float]:
    pytest.importorskip("pigeonry.store.variants", reason="the copy engine's store is not here")
    from pigeonry.store import variants

    with w.db.read() as session:
        found = variants.of_campaign(session, number)
    return [v.predicted_click for v in found if v.predicted_click is not None]


def test_a_first_campaign_is_scored_by_an_assumed_rate_and_says_so(small: Make) -> None:
    w = small(4)
    number = w.campaign()
    assert predictions(w, number) == []
    report = score_variants(w.db, w.home, number, now=NOON)
    assert report.cold_start
    assert "nothing was ever sent" in report.note
    assert set(predictions(w, number)) == {0.02}


def test_a_later_campaign_is_scored_by_what_was_learned(small: Make) -> None:
    w = small(1600)
    number = taught(w, a=0.03, b=0.2)
    predictions(w, number)
    learn(w.db, w.home, now=LATER)
    second = w.campaign("Second", at=LATER)
    report = score_variants(w.db, w.home, second, now=LATER)
    found = report.predictions
    with w.db.read() as session:
        from pigeonry.store import variants

        by_arm = {
            arm: [found[v.id] for v in variants.of_campaign(session, second) if v.arm == arm]
            for arm in "AB"
        }
    assert min(by_arm["B"]) > 2 * max(by_arm["A"])
    assert not report.cold_start


def run(
    w: World, *arguments: str, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, object]]:
    from pigeonry.cli.common import Output

    code = cli.main(
        ["--home", str(w.home.path), "--json", *arguments], standalone_mode=False, obj=Output()
    )
    return code or 0, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_commands_print_what_other_programs_rely_on(
    small: Make, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    w = small(10)
    keys = w.sent(w.campaign())
    file = w.home.path / "events.json"
    file.write_bytes(clicks(keys[:3]))
    code, first = run(w, "events", "ingest", str(file), "--source", "sendgrid", capsys=capsys)
    assert code == 0
    assert [first[k] for k in ("received", "applied", "duplicate", "rejected")] == [3, 3, 0, 0]
    file.write_bytes(b'[{"event":"open","timestamp":NaN}]')
    code, second = run(w, "events", "ingest", str(file), "--source", "sendgrid", capsys=capsys)
    assert code == 1
    assert second["rejected"] == 1
    code, third = run(w, "learn", capsys=capsys)
    assert code == 0
    assert {"updated", "refit", "drift"} <= third.keys()
