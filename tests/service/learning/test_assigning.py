"""Lots: who is held out, who tests, who gets what later; the same again after a kill."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from scipy.stats import chisquare
from sqlalchemy import delete, func, select, update

from pigeonry.errors import Refused
from pigeonry.service import assigning
from pigeonry.service.assigning import assign_rest, assign_test
from pigeonry.service.events import ingest_events
from pigeonry.store import campaigns
from pigeonry.store.models import Assignment, Lead, Message, Suppression, Variant
from tests.service.learning.world import NOON, World, clicks, sendgrid

LATER = NOON + timedelta(days=4)
Make = Callable[[int], World]


def lots(world: World, campaign_id: int) -> dict[int, tuple[str, float, int]]:
    with world.db.read() as session:
        rows = session.scalars(select(Assignment).where(Assignment.campaign_id == campaign_id))
        return {row.lead_id: (row.arm, row.propensity, row.wave) for row in rows}


def mails(world: World, campaign_id: int) -> dict[int, tuple[str, int, str, int]]:
    """Lead -> arm, wave, language and segment of the text that was planned."""
    with world.db.read() as session:
        rows = session.execute(
            select(Message.lead_id, Variant.arm, Message.wave, Variant.language, Variant.segment_id)
            .join(Variant, Variant.id == Message.variant_id)
            .where(Message.campaign_id == campaign_id)
        )
        return {lead: (arm, wave, lang, segment) for lead, arm, wave, lang, segment in rows}


def test_held_out_leads_get_a_lot_and_no_mail_and_the_others_get_what_they_drew(
    world: Make,
) -> None:
    w = world(600)
    number = w.campaign()
    report = assign_test(w.db, w.home, number, now=NOON)
    drawn, planned = lots(w, number), mails(w, number)
    assert report.eligible == 600
    assert report.held_out == sum(arm == "holdout" for arm, _, _ in drawn.values()) > 30
    assert report.planned == len(planned) == sum(wave == 1 for _, _, wave in drawn.values())
    assert 110 < report.planned < 220  # 30 % of those not held out
    for lead, (arm, propensity, wave) in drawn.items():
        assert (lead in planned) == (arm != "holdout")
        assert propensity == pytest.approx(0.1 if arm == "holdout" else 0.45)
        assert wave == (0 if arm == "holdout" else 1)
        if lead in planned:
            assert planned[lead][0] == arm


def test_the_text_is_the_one_for_the_leads_segment_and_language(small: Make) -> None:
    w = small(200)
    with w.db.write() as session:
        session.execute(update(Lead).where(Lead.id % 5 == 0).values(language=""))
    number = w.campaign()
    assign_test(w.db, w.home, number, now=NOON)
    assign_rest(w.db, w.home, number, now=NOON)
    with w.db.read() as session:
        known = {
            lead.id: (lead.segment_id, lead.language) for lead in session.scalars(select(Lead))
        }
    for lead, (_, _, language, segment) in mails(w, number).items():
        assert segment == known[lead][0]
        assert language == (known[lead][1] or "ro")


def test_running_a_stage_twice_changes_nothing(world: Make) -> None:
    w = world(300)
    number = w.campaign()
    first = assign_test(w.db, w.home, number, now=NOON)
    before = lots(w, number), mails(w, number)
    assert assign_test(w.db, w.home, number, now=LATER) == first
    assert (lots(w, number), mails(w, number)) == before
    rest = assign_rest(w.db, w.home, number, now=LATER)
    before = lots(w, number), mails(w, number)
    assert len(before[0]) == 300
    assert assign_rest(w.db, w.home, number, now=LATER) == rest
    assert (lots(w, number), mails(w, number)) == before


def test_a_stage_killed_between_batches_ends_as_if_it_had_not_been(
    small: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = small(400)
    monkeypatch.setattr(assigning, "_BATCH", 50)
    whole, cut = w.campaign("Whole", seed=5), w.campaign("Cut", seed=5)

    class Killed(BaseException):
        pass

    def killer(after: int) -> Callable[..., None]:
        def progress(label: str, done: int, total: int | None = None) -> None:
            if done >= after:
                raise Killed

        return progress

    for stage in (assign_test, assign_rest):
        stage(w.db, w.home, whole, now=NOON)
        for after in (50, 200):
            with pytest.raises(Killed):
                stage(w.db, w.home, cut, now=NOON, progress=killer(after))
        stage(w.db, w.home, cut, now=NOON)
    assert lots(w, cut) == lots(w, whole)
    assert mails(w, cut).keys() == mails(w, whole).keys()


def test_what_leads_drew_is_as_frequent_as_their_propensities_say(small: Make) -> None:
    w = small(4000)
    number = w.campaign(seed=99)
    assign_test(w.db, w.home, number, now=NOON)
    assign_rest(w.db, w.home, number, now=NOON)
    drawn = lots(w, number)
    seen = Counter(arm for arm, _, _ in drawn.values())
    chances = {arm: p for arm, p, _ in drawn.values()}
    assert sum(chances.values()) == pytest.approx(1)
    arms = sorted(chances)
    expected = [len(drawn) * chances[arm] for arm in arms]
    assert chisquare([seen[arm] for arm in arms], expected).pvalue > 1e-3


def test_nobody_suppressed_or_without_consent_draws_a_lot(small: Make) -> None:
    w = small(100)
    with w.db.write() as session:
        stopped = session.scalars(select(Lead).where(Lead.id.in_(w.lead_ids[:20]))).all()
        for lead in stopped:
            session.add(
                Suppression(
                    address_hash=lead.address_hash, reason="unsubscribe", source="", at=NOON
                )
            )
    number = w.campaign()
    assert assign_test(w.db, w.home, number, now=NOON).eligible == 80
    assign_rest(w.db, w.home, number, now=NOON)
    assert not set(lots(w, number)) & set(w.lead_ids[:20])


def test_a_lead_without_a_text_draws_no_lot_and_is_counted(small: Make) -> None:
    w = small(60)
    number = w.campaign()
    with w.db.write() as session:
        session.execute(delete(Variant).where(Variant.language == "en"))
        session.execute(update(Lead).where(Lead.id == w.lead_ids[0]).values(segment_id=None))
    report = assign_test(w.db, w.home, number, now=NOON)
    rest = assign_rest(w.db, w.home, number, now=NOON)
    assert report.without_text > 0
    assert rest.without_text >= 20
    assert all(language == "ro" for _, _, language, _ in mails(w, number).values())


def test_one_missing_text_gives_its_lots_to_the_other_arm_with_the_right_propensity(
    small: Make,
) -> None:
    w = small(200)
    number = w.campaign()
    with w.db.write() as session:
        session.execute(delete(Variant).where(Variant.language == "en", Variant.arm == "B"))
    assign_test(w.db, w.home, number, now=NOON)
    drawn = lots(w, number)
    english = [lead for lead, (_, _, lang, _) in mails(w, number).items() if lang == "en"]
    assert english
    assert {drawn[lead][:2] for lead in english} == {("A", 0.9)}


def test_the_rest_goes_to_the_arm_that_people_clicked_but_for_the_uniform_share(
    world: Make,
) -> None:
    w = world(1500)
    number = w.campaign()
    assign_test(w.db, w.home, number, now=NOON)
    w.accept_planned(number)
    chosen = [key for key, arm in keys(w, number) if arm == "B"][:60]
    ingest_events(w.db, w.home, clicks(chosen), source="sendgrid", now=LATER)
    report = assign_rest(w.db, w.home, number, now=LATER)
    for shares in report.shares.values():
        assert shares == pytest.approx({"A": 0.05, "B": 0.95})
    rest = Counter(arm for arm, wave, _, _ in mails(w, number).values() if wave == 2)
    assert rest["B"] > 8 * rest["A"] > 0


def test_each_segment_gets_what_it_likes(small: Make) -> None:
    w = small(3000)
    number = w.campaign()
    assign_test(w.db, w.home, number, now=NOON)
    w.accept_planned(number)
    liked = {w.segments[0]: "A", w.segments[1]: "B"}
    found = mails(w, number)
    with w.db.read() as session:
        rows = session.execute(
            select(Message.send_key, Message.lead_id).where(Message.campaign_id == number)
        ).all()
    chosen = [key for key, lead in rows if liked[found[lead][3]] == found[lead][0]]
    ingest_events(w.db, w.home, clicks(chosen[::3]), source="sendgrid", now=LATER)
    report = assign_rest(w.db, w.home, number, now=LATER)
    for segment, arm in liked.items():
        assert max(report.shares[str(segment)].items(), key=lambda item: item[1])[0] == arm


def keys(world: World, campaign_id: int) -> list[tuple[str, str]]:
    with world.db.read() as session:
        return [
            (key, arm)
            for key, arm in session.execute(
                select(Message.send_key, Variant.arm)
                .join(Variant, Variant.id == Message.variant_id)
                .where(Message.campaign_id == campaign_id)
                .order_by(Message.id)
            )
        ]


def test_machines_move_nothing(small: Make) -> None:
    w = small(1200)
    number = w.campaign()
    assign_test(w.db, w.home, number, now=NOON)
    w.accept_planned(number)
    noise = []
    for key, arm in keys(w, number):
        if arm == "B":
            for n in range(3):
                noise.append(
                    sendgrid(
                        "click", key, at=NOON + timedelta(seconds=n),
                        url=f"https://shop.example/{n}", useragent="Barracuda Link Scanner",
                    )
                )  # fmt: skip
            noise.append(sendgrid("open", key, at=NOON + timedelta(hours=1), sg_machine_open=True))
    import json

    ingest_events(w.db, w.home, json.dumps(noise).encode(), source="sendgrid", now=LATER)
    report = assign_rest(w.db, w.home, number, now=LATER)
    for shares in report.shares.values():
        assert shares == {"A": 0.5, "B": 0.5}


def test_without_any_event_the_rest_is_even(small: Make) -> None:
    w = small(200)
    number = w.campaign()
    assign_test(w.db, w.home, number, now=NOON)
    w.accept_planned(number)
    report = assign_rest(w.db, w.home, number, now=LATER)
    assert all(shares == {"A": 0.5, "B": 0.5} for shares in report.shares.values())


def harm(w: World, number: int, arms: str) -> None:
    import json

    raws: list[Any] = [
        sendgrid("spamreport", key, at=NOON + timedelta(hours=1))
        for key, arm in keys(w, number)
        if arm in arms
    ]
    body = json.dumps(raws[: len(raws) // 2]).encode()
    ingest_events(w.db, w.home, body, source="sendgrid", now=LATER)


def test_an_arm_that_drives_people_away_is_stopped(small: Make) -> None:
    w = small(400)
    number = w.campaign()
    assign_test(w.db, w.home, number, now=NOON)
    w.accept_planned(number)
    harm(w, number, "B")
    report = assign_rest(w.db, w.home, number, now=LATER)
    assert all(shares == {"A": 1.0, "B": 0.0} for shares in report.shares.values())
    with w.db.read() as session:
        assert "STOPPED" in campaigns.plan(session, number)["rest"]["stopped"]["B"]


def test_where_every_arm_does_harm_nothing_more_is_planned(small: Make) -> None:
    w = small(400)
    number = w.campaign()
    assign_test(w.db, w.home, number, now=NOON)
    w.accept_planned(number)
    harm(w, number, "AB")
    with pytest.raises(Refused, match="every arm is stopped"):
        assign_rest(w.db, w.home, number, now=LATER)
    with w.db.read() as session:
        assert (
            session.scalar(select(func.count()).select_from(Message).where(Message.wave == 2)) == 0
        )


def test_a_campaign_without_arms_draws_nothing(small: Make) -> None:
    w = small(10)
    number = w.campaign(arms=False)
    with pytest.raises(Refused, match="arms are not chosen"):
        assign_test(w.db, w.home, number, now=NOON)


def test_two_runners_at_once_plan_each_lead_once_and_as_it_drew(
    world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = world(300)
    monkeypatch.setattr(assigning, "_BATCH", 40)
    number = w.campaign()
    for stage in (assign_test, assign_rest):
        with ThreadPoolExecutor(2) as pool:
            first, second = pool.map(lambda _, s=stage: s(w.db, w.home, number, now=NOON), range(2))
        assert first.shares == second.shares
    drawn, planned = lots(w, number), mails(w, number)
    assert len(drawn) == 300
    assert {lead: arm for lead, (arm, _, _) in drawn.items() if arm != "holdout"} == {
        lead: arm for lead, (arm, _, _, _) in planned.items()
    }
