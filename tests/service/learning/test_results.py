"""A campaign's report says what may be said, and no more."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import text

from pigeonry.errors import NotFound
from pigeonry.service.events import ingest_events
from pigeonry.service.results import CampaignResults, campaign_results
from pigeonry.store import campaigns
from tests.service.learning.world import NOON, World, clicks, sendgrid

LATER = NOON + timedelta(days=9)
Make = Callable[[int], World]


def by_lead(lead: int) -> str:
    return "AB"[lead // 2 % 2]


def ran(w: World, *, a: int, b: int) -> CampaignResults:
    """A campaign sent to everybody, of which `a` and `b` people clicked."""
    number = w.campaign()
    keys = w.sent(number, arm_of=by_lead)
    arms: dict[str, list[str]] = {"A": [], "B": []}
    for lead, key in zip(w.lead_ids, keys, strict=True):
        arms[by_lead(lead)].append(key)
    ingest_events(w.db, w.home, clicks(arms["A"][:a] + arms["B"][:b]), source="sendgrid", now=LATER)
    return campaign_results(w.db, number, now=LATER)


def test_counts_rates_and_intervals_are_those_of_the_log(world: Make) -> None:
    found = ran(world(400), a=10, b=30)
    one, two = found.arms
    assert (one.counts.sends, one.counts.clicked) == (200, 10)
    assert (two.counts.sends, two.counts.clicked) == (200, 30)
    assert two.click_rate.low < 0.15 == two.click_rate.estimate < two.click_rate.high
    assert one.p_best + two.p_best == pytest.approx(1)
    assert two.p_best > 0.9
    assert found.clicks == 40
    assert sum(cell.sends for cell in found.cells) == 400


def test_a_clear_difference_is_called_and_a_small_one_is_not(small: Make) -> None:
    w = small(800)
    clear = ran(w, a=10, b=90)
    assert clear.winner == clear.leader == "B"
    assert clear.lift is not None
    assert clear.lift.low > 0
    assert clear.verdict.startswith("Lift shown: B against A +20.00 points")


def test_a_small_difference_is_not_called(small: Make) -> None:
    found = ran(small(400), a=12, b=16)
    assert found.winner == ""
    assert found.leader == "B"
    assert found.lift is not None
    assert found.lift.low < 0 < found.lift.high
    assert "not shown" in found.verdict


def test_nothing_sent_and_nothing_clicked_give_words_and_wide_intervals(small: Make) -> None:
    w = small(40)
    number = w.campaign()
    nothing = campaign_results(w.db, number, now=LATER)
    assert nothing.lift is None
    assert "nothing was sent" in nothing.verdict
    assert (nothing.arms[0].click_rate.low, nothing.arms[0].click_rate.high) == (0, 1)
    w.sent(number)
    quiet = campaign_results(w.db, number, now=LATER)
    assert "nobody has clicked" in quiet.verdict
    assert quiet.winner == ""


def test_a_campaign_without_arms_has_a_report(small: Make) -> None:
    w = small(4)
    found = campaign_results(w.db, w.campaign(arms=False), now=LATER)
    assert found.verdict == "There are no arms yet."
    assert found.lines()


def test_machines_are_shown_apart(small: Make) -> None:
    w = small(40)
    number = w.campaign()
    keys = w.sent(number, arm_of=lambda _: "A")
    raws = [
        sendgrid("open", key, at=NOON + timedelta(hours=1), sg_machine_open=True) for key in keys
    ]
    raws.append(sendgrid("open", keys[0], at=NOON + timedelta(hours=5)))
    ingest_events(w.db, w.home, json.dumps(raws).encode(), source="sendgrid", now=LATER)
    one = campaign_results(w.db, number, now=LATER).arms[0]
    assert one.counts.opened == 1
    assert one.machine_opens == 39
    assert one.counts.delivered == 40


def held_out(w: World, leads: list[int]) -> int:
    """A campaign for which these leads drew no mail and all others did."""
    number = w.campaign()
    w.sent(number, arm_of=lambda _: "A", leads=[n for n in w.lead_ids if n not in leads])
    with w.db.write() as session:
        for lead in leads:
            session.execute(
                text(
                    "INSERT INTO assignment (campaign_id, lead_id, segment_id, arm, propensity, wave, "
                    "seed, at) VALUES (:c, :l, :s, 'holdout', 0.25, 0, 1, :at)"
                ),
                {"c": number, "l": lead, "s": w.segments[0], "at": str(NOON)},
            )
    return number


def test_the_holdout_claims_nothing_that_it_cannot_show(small: Make) -> None:
    w = small(40)
    number = held_out(w, w.lead_ids[:10])
    early = campaign_results(w.db, number, now=LATER).holdout
    assert (early.size, early.share, early.lift) == (10, 0.25, None)
    assert "before everybody has drawn" in early.claim
    with w.db.write() as session:
        campaigns.update_state(session, number, stage="finish")
    found = campaign_results(w.db, number, now=LATER)
    assert found.holdout.lift is None
    assert "Clicks cannot be compared with people who got no mail" in found.holdout.claim
    assert [(wave.wave, dict(wave.leads)) for wave in found.waves] == [
        (0, {"holdout": 10}),
        (1, {"A": 30}),
    ]


def test_conversions_of_everybody_show_what_mail_added(small: Make) -> None:
    w = small(800)
    number = held_out(w, w.lead_ids[::4])
    with w.db.write() as session:
        campaigns.update_state(session, number, stage="done")
        hashes = dict(session.execute(text("SELECT id, address_hash FROM lead")).tuples().all())
        mails = dict(session.execute(text("SELECT lead_id, id FROM message")).tuples().all())
        bought = [lead for lead in w.lead_ids if lead % 4 == 2 or lead in w.lead_ids[::40]]
        for lead in bought:
            session.execute(
                text(
                    "INSERT INTO event (source, event_id, message_id, kind, at, human, url, user_agent, ip,"
                    " reason, why, currency, address_hash) VALUES ('crm', :e, :m, 'conversion', :at, 1,"
                    " '', '', '', '', '', '', :h)"
                ),
                {
                    "e": str(lead),
                    "m": mails.get(lead),
                    "h": "" if lead in mails else hashes[lead],
                    "at": str(NOON + timedelta(days=1)),
                },
            )
    found = campaign_results(w.db, number, now=LATER)
    assert (found.holdout.converted, found.holdout.drew_mail) == (200, 600)
    assert (found.holdout.converted_without, found.holdout.size) == (20, 200)
    assert found.holdout.lift is not None
    assert found.holdout.lift.low > 0
    assert found.holdout.said == "shown"
    assert found.to_json()["holdout"]["lift"] == pytest.approx(200 / 600 - 20 / 200, abs=0.02)


def test_guardrails_speak_of_unsubscribes_and_complaints(small: Make) -> None:
    w = small(400)
    number = w.campaign()
    keys = w.sent(number, arm_of=lambda lead: "B" if lead % 2 else "A")
    raws = [sendgrid("spamreport", key, at=NOON + timedelta(hours=1)) for key in keys[:60:2]]
    ingest_events(w.db, w.home, json.dumps(raws).encode(), source="sendgrid", now=LATER)
    found = campaign_results(w.db, number, now=LATER)
    stopped = {(rail.arm, rail.name) for rail in found.guardrails if rail.stopped}
    assert stopped == {("B", "complaints")} or stopped == {("A", "complaints")}
    assert len(found.guardrails) == 4
    assert any("STOPPED" in line for line in found.lines())


def test_the_json_has_what_other_programs_rely_on(small: Make) -> None:
    found = json.loads(json.dumps(ran(small(80), a=2, b=9).to_json()))
    assert {"arms", "lift", "interval", "guardrails"} <= found.keys()
    assert {"rate", "interval", "p_best"} <= found["arms"][0].keys()
    assert found["interval"][0] < found["lift"] < found["interval"][1]


def test_an_unknown_campaign_is_named(small: Make) -> None:
    w = small(0)
    with pytest.raises(NotFound, match="campaign 77"):
        campaign_results(w.db, 77, now=LATER)


def test_young_mails_are_said_to_be_young(small: Make) -> None:
    w = small(40)
    number = w.campaign()
    w.sent(number)
    young = campaign_results(w.db, number, now=NOON + timedelta(hours=24))
    assert young.ripe == pytest.approx(0.5)
    assert any("50% of all clicks" in line for line in young.lines())
