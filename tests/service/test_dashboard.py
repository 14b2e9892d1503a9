"""What the first page says is what the database holds, and what needs somebody comes first."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from pigeonry.config import Home
from pigeonry.service import holding
from pigeonry.service.dashboard import Dashboard, Need, dashboard
from pigeonry.service.learning import learn
from pigeonry.service.prompt_book import prompt_book
from pigeonry.service.results_kept import keep_results, results_now, seen_results
from pigeonry.service.results_page import results_csv
from pigeonry.service.segment_pages import segment_board, segment_detail
from pigeonry.store import campaigns, jobs
from pigeonry.store.session import Database
from tests.service.learning.world import NOON, World, clicks

LATER = NOON + timedelta(days=2)


@pytest.fixture
def world(database: Database, home: Home) -> World:
    return World(database, home, leads=240)


def look(world: World) -> Dashboard:
    return dashboard(world.db, world.home, now=LATER, patience=60)


def needs(found: Dashboard) -> list[Need]:
    return [one.need for one in found.needs if one.need is not Need.SETUP]


def change(world: World, statement: str, **values: object) -> None:
    with world.db.write() as session:
        session.execute(text(statement), values)


def test_an_empty_home_needs_nobody(database: Database, home: Home) -> None:
    found = dashboard(database, home, now=LATER, patience=60)
    assert needs(found) == []
    assert (found.running, found.planned, found.done, found.learned) == ((), (), (), None)
    assert found.leads is not None
    assert found.leads.total == 0
    assert found.looked


def test_what_needs_a_person_comes_first_and_goes_when_it_is_done(world: World) -> None:
    number = world.campaign()
    with world.db.write() as session:
        campaigns.update_state(session, number, state="waiting", wait_until=LATER)
    waits = world.campaign(name="Other")
    with world.db.write() as session:
        campaigns.update_state(session, waits, stage="approve", state="waiting")
    world.sent(number, arm_of=lambda _: "A")
    change(world, "UPDATE message SET state = 'parked' WHERE id <= 3")
    holding.stop(world.db, reason="somebody pulled the plug", now=NOON)
    with world.db.write() as session:
        failed = jobs.add(
            session, kind="segments", subject="segments", payload={}, by="test", at=NOON
        )
    change(
        world,
        "UPDATE job SET state = 'failed', finished_at = :at, result = :result",
        at=str(NOON),
        result='{"error": {"what": "no room", "fix": "make some"}}',
    )
    found = look(world)
    assert needs(found)[:3] == [Need.HOLD, Need.PARKED, Need.APPROVAL]
    broken = next(one for one in found.needs if one.need is Need.JOB)
    assert (broken.count, broken.detail, broken.fix) == (failed.id, "no room", "make some")
    assert found.needs[0].detail == "somebody pulled the plug"
    assert found.needs[1].count == 3
    assert {one.id for one in (*found.running, *found.planned)} == {number, waits}
    assert next(one for one in found.planned if one.id == waits).planned == 0
    change(world, "UPDATE message SET state = 'accepted' WHERE id <= 3")
    change(world, "UPDATE hold SET lifted_at = :at", at=str(NOON))
    with world.db.write() as session:
        campaigns.update_state(session, waits, approved_at=NOON, stage="done", state="done")
    after = look(world)
    assert not {Need.HOLD, Need.PARKED, Need.APPROVAL} & set(needs(after))
    assert [one.id for one in after.done] == [waits]


def test_leads_are_counted_again_when_consent_or_suppression_changes(world: World) -> None:
    first = look(world).leads
    assert first is not None
    assert (first.total, first.mailable, first.suppressed) == (240, 240, 0)
    change(
        world,
        "INSERT INTO suppression SELECT address_hash, 'unsubscribe', 'link', :at FROM lead"
        " WHERE id <= 5",
        at=str(NOON),
    )
    then = look(world).leads
    assert then is not None
    assert (then.total, then.mailable, then.suppressed) == (240, 235, 5)


def test_complaints_and_a_silent_channel_are_seen_before_providers_act(world: World) -> None:
    number = world.campaign()
    world.sent(number, arm_of=lambda _: "A")
    change(world, "UPDATE message SET handover_at = :at, channel = 'file'", at=str(NOON))
    change(
        world,
        "INSERT INTO event (source, event_id, message_id, kind, at, human, url, user_agent, ip, reason)"
        " VALUES ('sendgrid', 'e', 1, 'complaint', :at, 1, '', '', '', '')",
        at=str(NOON),
    )
    for _ in range(4):
        change(
            world,
            "INSERT INTO message_attempt (message_id, owner, outcome, reason, provider_id, started_at)"
            " VALUES (1, 'w', 'retry', '421 try later', '', :at)",
            at=str(LATER - timedelta(hours=1)),
        )
    found = look(world)
    assert needs(found)[:2] == [Need.CHANNEL, Need.COMPLAINTS]
    assert found.needs[0].detail == "421 try later"
    assert found.needs[1].over
    assert found.needs[1].rate == pytest.approx(1 / 240)


def test_results_are_kept_until_something_comes_back(world: World) -> None:
    from pigeonry.service.events import ingest_events

    number = world.campaign()
    keys = world.sent(number, arm_of=lambda lead: "AB"[lead % 2])
    ingest_events(world.db, world.home, clicks(keys[:9]), source="sendgrid", now=LATER)
    first = keep_results(world.db, world.home, number, now=LATER)
    seen = seen_results(world.db, world.home, number, now=LATER + timedelta(minutes=1))
    assert seen is not None
    assert (seen.results, seen.at, seen.late) == (first, LATER, False)
    ingest_events(world.db, world.home, clicks(keys[9:12]), source="sendgrid", now=LATER)
    again = seen_results(world.db, world.home, number, now=LATER)
    assert again is not None
    assert again.results == results_now(world.db, world.home, number, now=LATER)
    assert again.results.clicks == first.clicks + 3


def test_a_large_campaign_is_late_only_when_it_was_answered_itself(
    any_database: Database, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pigeonry.service.events import ingest_events

    monkeypatch.setattr("pigeonry.service.results_kept.AT_ONCE", 10)
    world = World(any_database, home, leads=40)
    number, other = world.campaign(), world.campaign(name="Other")
    keys = world.sent(number, arm_of=lambda _: "A")
    theirs = world.sent(other, arm_of=lambda _: "A")
    later = LATER + timedelta(days=60)  # all clicks are in
    assert seen_results(world.db, home, number, now=later) is None
    keep_results(world.db, home, number, now=later)
    ingest_events(world.db, home, clicks(theirs[:3]), source="sendgrid", now=later)
    seen = seen_results(world.db, home, number, now=later)
    assert seen is not None
    assert not seen.late
    ingest_events(world.db, home, clicks(keys[:3]), source="sendgrid", now=later)
    seen = seen_results(world.db, home, number, now=later)
    assert seen is not None
    assert (seen.late, seen.results.clicks) == (True, 0)


def test_what_was_learned_is_told_by_segment_and_in_all(any_database: Database, home: Home) -> None:
    from pigeonry.service.events import ingest_events

    world = World(any_database, home, leads=240)
    number = world.campaign()
    keys = world.sent(number, arm_of=lambda lead: "AB"[lead % 2])
    ingest_events(world.db, world.home, clicks(keys[:30]), source="sendgrid", now=LATER)
    learn(world.db, world.home, now=LATER)
    told = look(world).learned
    assert told is not None
    assert (told.sends, told.clicks) == (240, 30)
    assert told.click_rate.low < 30 / 240 < told.click_rate.high
    assert told.best
    assert [name.name for name in prompt_book(world.db)][:2] == [
        "subject/benefit",
        "subject/direct",
    ]
    assert results_csv(world.db, home, number, now=LATER).count("\n") > 4
    board = segment_board(world.db)
    assert sum(row.response.sends for row in board.rows if row.response) == 240
    one = segment_detail(world.db, world.segments[0])
    assert one.prompts
    assert all(there.rate.low < there.rate.estimate < there.rate.high for there in one.prompts)
    with world.db.read() as session:
        kept = session.execute(text("SELECT name FROM summary")).scalars().all()
    assert {"learned", f"results/{number}"} <= set(kept)
