"""The plan of messages, on both databases."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pigeonry.domain import MessageState, PlannedMessage
from pigeonry.errors import NotFound, Refused
from pigeonry.store import messages
from pigeonry.store.models import Message
from pigeonry.store.session import Database
from tests.delivery.world import World

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)


def test_a_second_plan_of_the_same_mail_changes_nothing(any_database: Database) -> None:
    world = World(any_database, leads=3)
    rows = world.plan_rows()
    with any_database.write() as session:
        assert messages.plan(session, rows, NOW) == 3
    with any_database.write() as session:
        assert messages.plan(session, rows, NOW) == 0
    with any_database.read() as session:
        assert messages.counts(session, world.campaign_id)[MessageState.PLANNED] == 3


def test_a_plan_that_overlaps_an_earlier_one_counts_only_what_is_new(
    any_database: Database,
) -> None:
    world = World(any_database, leads=5)
    rows = world.plan_rows()
    with any_database.write() as session:
        messages.plan(session, rows[:2], NOW)
        assert messages.plan(session, rows, NOW) == 3


def test_every_planned_message_gets_a_send_key_of_its_own(any_database: Database) -> None:
    world = World(any_database, leads=20)
    world.plan()
    with any_database.read() as session:
        keys = {row.send_key for row in session.query(Message)}
    assert len(keys) == 20
    assert all(len(key) == 32 and int(key, 16) >= 0 for key in keys)


def test_counts_can_be_taken_of_one_wave(any_database: Database) -> None:
    world = World(any_database, leads=4)
    rows = [
        PlannedMessage(
            campaign_id=row.campaign_id,
            lead_id=row.lead_id,
            variant_id=row.variant_id,
            wave=1 + index % 2,
            address_hash=row.address_hash,
            channel=row.channel,
        )
        for index, row in enumerate(world.plan_rows())
    ]
    with any_database.write() as session:
        messages.plan(session, rows, NOW)
    with any_database.read() as session:
        assert messages.counts(session, world.campaign_id, wave=1)[MessageState.PLANNED] == 2
        assert messages.counts(session, world.campaign_id)[MessageState.PLANNED] == 4


@pytest.mark.parametrize(("sent", "state"), [(True, "accepted"), (False, "planned")])
def test_a_person_may_say_what_became_of_a_parked_message(
    any_database: Database, sent: bool, state: str
) -> None:
    world = World(any_database, leads=1)
    world.plan()
    world.set_state(1, "parked", handover_at=NOW)
    with any_database.write() as session:
        messages.resolve(session, world.message_ids()[0], sent=sent, at=NOW)
    assert world.states() == [state]
    assert [attempt.owner for attempt in world.attempts()] == ["operator"]


def test_a_message_whose_outcome_is_known_cannot_be_resolved_by_a_person(
    database: Database,
) -> None:
    world = World(database, leads=1)
    world.plan()
    with database.write() as session, pytest.raises(Refused, match="planned"):
        messages.resolve(session, world.message_ids()[0], sent=True, at=NOW)
    with database.write() as session, pytest.raises(NotFound, match="message 99"):
        messages.resolve(session, 99, sent=True, at=NOW)


def test_parked_and_unknown_messages_are_listed_with_their_address(database: Database) -> None:
    world = World(database, leads=3)
    world.plan()
    world.set_state(1, "parked", handover_at=NOW)
    world.set_state(2, "unknown", handover_at=NOW)
    with database.read() as session:
        found = messages.uncertain(session)
    assert [(row.state, row.email) for row in found] == [
        (MessageState.PARKED, "lead1@example.com"),
        (MessageState.UNKNOWN, "lead2@example.com"),
    ]
