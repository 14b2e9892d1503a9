"""Claim, fence, record and reap, on both databases: who may send what, and what becomes of it."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import insert

from pigeonry.domain import HandOver, MessageState, Outcome, SuppressionReason
from pigeonry.store import consents, fence, handovers, leads, preferences, reaping
from pigeonry.store.fence import Gate, Verdict
from pigeonry.store.handovers import Claim, Recorded
from pigeonry.store.models import Campaign, Consent
from pigeonry.store.preferences import Preferences
from pigeonry.store.session import Database
from tests.delivery.world import START, World, consent_row

GATE = Gate(max_seconds=30, cap=0, cap_days=7, channel="file")
LEASE = 120.0


def claim(
    database: Database, world: World, owner: str = "me", limit: int = 50, at: float = 0
) -> list[Claim]:
    with database.write() as session:
        return handovers.claim(
            session,
            campaign_id=world.campaign_id,
            owner=owner,
            now=START + timedelta(seconds=at),
            lease_seconds=LEASE,
            limit=limit,
        )


def pass_fence(
    database: Database, claimed: Claim, owner: str = "me", at: float = 0, gate: Gate = GATE
) -> Verdict:
    with database.write() as session:
        return fence.fence(
            session, [claimed], owner=owner, now=START + timedelta(seconds=at), gate=gate
        )[0]


def record(
    database: Database,
    claimed: Claim,
    outcome: Outcome = Outcome.ACCEPTED,
    state: MessageState = MessageState.ACCEPTED,
    owner: str = "me",
) -> int:
    result = Recorded(claimed, HandOver(outcome, provider_id="p1"), state, "", None, START, START)
    with database.write() as session:
        return handovers.record(session, [result], owner=owner)


def reap(
    database: Database, at: float, dead: tuple[str, ...] = (), told: HandOver | None = None
) -> reaping.Reaped:
    with database.write() as session:
        return reaping.reap(
            session,
            now=START + timedelta(seconds=at),
            quarantine_seconds=1800,
            dead=dead,
            testimony=lambda owner, key, epoch: told,
        )


def one(database: Database) -> tuple[World, Claim]:
    world = World(database, leads=1)
    world.plan()
    return world, claim(database, world)[0]


def test_two_senders_never_claim_the_same_message(any_database: Database) -> None:
    world = World(any_database, leads=5)
    world.plan()
    first = claim(any_database, world, "a", limit=3)
    second = claim(any_database, world, "b", limit=3)
    assert [c.id for c in first] == world.message_ids()[:3]
    assert [c.id for c in second] == world.message_ids()[3:]
    assert claim(any_database, world, "c") == []


def test_a_claim_brings_what_the_mail_needs_of_its_lead(any_database: Database) -> None:
    _, claimed = one(any_database)
    assert (claimed.email, claimed.first_name, claimed.basis) == (
        "lead1@example.com",
        "Ioana",
        "express",
    )


def test_the_full_way_of_a_message_is_written_down(any_database: Database) -> None:
    world, claimed = one(any_database)
    assert pass_fence(any_database, claimed) is Verdict.GO
    assert world.states() == ["handing_over"]
    assert record(any_database, claimed) == 1
    row = world.messages()[0]
    assert (row.state, row.provider_id, row.attempts) == ("accepted", "p1", 1)
    assert row.accepted_at == START
    assert [(a.outcome, a.owner) for a in world.attempts()] == [("accepted", "me")]


def test_a_suppressed_address_is_cancelled_at_the_fence(any_database: Database) -> None:
    world, claimed = one(any_database)
    world.suppress(world.lead_ids[0], "complaint")
    assert pass_fence(any_database, claimed) is Verdict.CANCELLED
    assert [(m.state, m.reason) for m in world.messages()] == [
        ("cancelled", "suppressed: complaint")
    ]


def test_withdrawn_consent_is_cancelled_at_the_fence(any_database: Database) -> None:
    world, claimed = one(any_database)
    world.consent(world.lead_ids[0], "withdrawn", START)
    assert pass_fence(any_database, claimed) is Verdict.CANCELLED
    assert world.messages()[0].reason == "consent withdrawn"


def test_no_consent_at_all_is_cancelled_at_the_fence(any_database: Database) -> None:
    world, claimed = one(any_database)
    world.forget_consent(world.lead_ids[0])
    assert pass_fence(any_database, claimed) is Verdict.CANCELLED
    assert world.messages()[0].reason == "consent missing"


def test_of_a_grant_and_a_withdrawal_at_one_moment_the_withdrawal_counts(
    any_database: Database,
) -> None:
    world, claimed = one(any_database)
    for state in ("withdrawn", "granted"):
        world.consent(world.lead_ids[0], state, START)
    assert pass_fence(any_database, claimed) is Verdict.CANCELLED


def test_a_mail_about_a_declined_topic_is_cancelled_at_the_fence_and_no_other(
    any_database: Database,
) -> None:
    world = World(any_database, leads=2)
    world.plan()
    first, second = claim(any_database, world)
    with any_database.write() as session:
        session.get_one(Campaign, world.campaign_id).topic = "offers"
        nobody_else = Preferences(declined=frozenset({"news"}))
        preferences.put(session, second.lead_id, nobody_else, at=START)
        declined = Preferences(declined=frozenset({"offers", "news"}))
        preferences.put(session, first.lead_id, declined, at=START)
        chosen = leads.mailable(session, topic="offers", now=START)
    assert [lead.id for lead in chosen] == [second.lead_id]
    assert pass_fence(any_database, first) is Verdict.CANCELLED
    assert pass_fence(any_database, second) is Verdict.GO
    assert world.messages()[0].reason == "the lead wants no mail about this topic"


def test_a_paused_campaign_keeps_the_claim_and_a_cancelled_one_cancels_it(
    any_database: Database,
) -> None:
    world, claimed = one(any_database)
    world.set_campaign("paused")
    assert pass_fence(any_database, claimed) is Verdict.PAUSED
    assert world.states() == ["claimed"]
    world.set_campaign("cancelled")
    assert pass_fence(any_database, claimed) is Verdict.CANCELLED
    assert world.states() == ["cancelled"]


def test_a_lease_too_short_for_a_hand_over_has_to_be_renewed_first(any_database: Database) -> None:
    _, claimed = one(any_database)
    assert pass_fence(any_database, claimed, at=LEASE - 30) is Verdict.LEASE
    with any_database.write() as session:
        handovers.renew(session, owner="me", until=START + timedelta(seconds=2 * LEASE))
    assert pass_fence(any_database, claimed, at=LEASE - 30) is Verdict.GO


def test_a_sender_that_slept_through_its_lease_finds_its_claim_lost(any_database: Database) -> None:
    world, mine = one(any_database)
    assert reap(any_database, at=LEASE + 1).returned == 1
    theirs = claim(any_database, world, "other", at=LEASE + 1)[0]
    assert pass_fence(any_database, mine, at=LEASE + 2) is Verdict.LOST
    assert pass_fence(any_database, theirs, "other", at=LEASE + 2) is Verdict.GO
    assert record(any_database, mine) == 0
    assert world.states() == ["handing_over"]


def test_a_claim_taken_twice_by_the_same_owner_only_passes_with_the_newer_epoch(
    any_database: Database,
) -> None:
    world, old = one(any_database)
    reap(any_database, at=LEASE + 1)
    new = claim(any_database, world, "me", at=LEASE + 1)[0]
    assert pass_fence(any_database, old, at=LEASE + 2) is Verdict.LOST
    assert pass_fence(any_database, new, at=LEASE + 2) is Verdict.GO


def test_the_frequency_cap_puts_a_mail_off_until_the_window_has_passed(
    any_database: Database,
) -> None:
    world = World(any_database, leads=1)
    world.plan()
    world.plan([replace(world.plan_rows()[0], occurrence="second")])
    gate = Gate(max_seconds=30, cap=1, cap_days=7, channel="file")
    first, second = claim(any_database, world)
    assert pass_fence(any_database, first, gate=gate) is Verdict.GO
    assert pass_fence(any_database, second, gate=gate) is Verdict.LATER
    row = world.messages()[1]
    assert (row.state, row.reason) == ("planned", "frequency cap")
    assert row.not_before == START + timedelta(days=7)


def test_an_expired_hand_over_stays_until_the_quarantine_is_over(any_database: Database) -> None:
    world, claimed = one(any_database)
    pass_fence(any_database, claimed)
    assert reap(any_database, at=LEASE + 1799).unknown == 0
    assert world.states() == ["handing_over"]
    assert reap(any_database, at=LEASE + 1800).unknown == 1
    assert world.states() == ["unknown"]


def test_a_dead_owners_claims_and_hand_overs_are_taken_back_at_once(any_database: Database) -> None:
    world = World(any_database, leads=2)
    world.plan()
    first, _ = claim(any_database, world)
    pass_fence(any_database, first)
    with any_database.read() as session:
        assert reaping.owners(session) == ["me"]
    assert reap(any_database, at=1, dead=("me",)) == reaping.Reaped(returned=1, unknown=1)
    assert world.states() == ["unknown", "planned"]
    assert [a.outcome for a in world.attempts()] == ["unknown"]


def test_a_late_definite_answer_settles_what_the_reaper_called_unknown(
    any_database: Database,
) -> None:
    world, claimed = one(any_database)
    pass_fence(any_database, claimed)
    reap(any_database, at=LEASE + 1800)
    assert record(any_database, claimed) == 1
    assert world.states() == ["accepted"]


def test_an_event_that_came_first_keeps_the_message_accepted_and_gets_the_number(
    any_database: Database,
) -> None:
    world, claimed = one(any_database)
    pass_fence(any_database, claimed)
    world.set_state(1, "accepted", accepted_at=START)  # as an event does
    assert record(any_database, claimed, Outcome.UNKNOWN, MessageState.UNKNOWN) == 0
    assert record(any_database, claimed) == 0
    row = world.messages()[0]
    assert (row.state, row.provider_id) == ("accepted", "p1")


def test_fencing_again_after_a_commit_of_unknown_fate_says_go_again(any_database: Database) -> None:
    _, claimed = one(any_database)
    assert pass_fence(any_database, claimed) is Verdict.GO
    assert pass_fence(any_database, claimed) is Verdict.GO


def test_an_unknown_message_is_settled_once(any_database: Database) -> None:
    world, claimed = one(any_database)
    pass_fence(any_database, claimed)
    reap(any_database, at=1, dead=("me",))
    with any_database.read() as session:
        (found,) = reaping.unsettled(session)
    assert not found.proven
    with any_database.write() as session:
        assert reaping.settle(
            session, found, state=MessageState.PLANNED, reason="not there", now=START
        )
        assert not reaping.settle(
            session, found, state=MessageState.PARKED, reason="late", now=START
        )
    assert world.states() == ["planned"]


def test_released_claims_are_planned_again_and_hand_overs_are_not(any_database: Database) -> None:
    world = World(any_database, leads=3)
    world.plan()
    first, *_ = claim(any_database, world)
    pass_fence(any_database, first)
    with any_database.write() as session:
        assert handovers.release(session, owner="me") == 2
    assert world.states() == ["handing_over", "planned", "planned"]


@pytest.mark.parametrize("kind", ["suppression", "consent"])
def test_on_postgres_a_fence_waits_for_a_withdrawal_that_is_being_committed(
    postgres_url: str, kind: str
) -> None:
    database = Database(postgres_url)
    world, claimed = one(database)
    lead_id, held, verdicts = world.lead_ids[0], threading.Event(), []

    def withdraw() -> None:
        with database.write() as session:
            if kind == "suppression":
                consents.suppress(
                    session,
                    f"{lead_id:064x}",
                    reason=SuppressionReason.UNSUBSCRIBE,
                    source="t",
                    at=START,
                )
            else:
                session.execute(
                    insert(Consent), [{**consent_row(lead_id, START), "state": "withdrawn"}]
                )
            session.flush()
            held.set()
            time.sleep(0.4)  # the fence starts now and must not pass before the commit

    thread = threading.Thread(target=withdraw)
    thread.start()
    held.wait(5)
    verdicts.append(pass_fence(database, claimed))
    thread.join()
    assert verdicts == [Verdict.CANCELLED]
    database.dispose()
