"""What leads did with their mail, and vectors by content."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from sqlalchemy import update

from pigeonry.store import segments
from pigeonry.store.models import Event, Message
from pigeonry.store.session import Database
from tests.delivery.world import START, World


def happened(database: Database, message_id: int, kind: str, *, human: float = 1.0, hours: int = 1, copy: int = 0) -> None:  # fmt: skip
    with database.write() as session:
        session.add(
            Event(
                source="t", event_id=f"{message_id}{kind}{human}{hours}{copy}", message_id=message_id,
                kind=kind, at=START + timedelta(hours=hours), human=human, url="", user_agent="",
                ip="", reason="",
            )
        )  # fmt: skip


def test_behaviour_counts_accepted_mails_and_human_events_once_a_message(
    any_database: Database,
) -> None:
    world = World(any_database, leads=3)
    world.plan()
    first, second, _ = world.message_ids()
    with any_database.write() as session:
        session.execute(
            update(Message).where(Message.id.in_([first, second])).values(state="accepted")
        )
    for copy in (1, 2):
        happened(any_database, first, "open", copy=copy)
    happened(any_database, first, "click", hours=24)
    happened(any_database, second, "open", human=0.1)
    happened(any_database, second, "unsubscribe")
    with any_database.read() as session:
        found = segments.behaviour(session, [3, 1, 2], now=START + timedelta(days=3))
    assert found.lead_ids.tolist() == [3, 1, 2]
    assert found.sent.tolist() == [0, 1, 1]
    assert found.opened.tolist() == [0, 1, 0]
    assert found.clicked.tolist() == [0, 1, 0]
    assert found.unsubscribed.tolist() == [0, 0, 1]
    assert found.days_since_click[1] == pytest.approx(2)
    assert np.isnan(found.days_since_click[[0, 2]]).all()


def test_a_vector_is_stored_once_for_each_content_and_embedder(any_database: Database) -> None:
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    with any_database.write() as session:
        segments.add_vectors(session, ["a", "b"], rows, "e")
        segments.add_vectors(session, ["a"], rows[1:] + 9, "e")
        segments.add_vectors(session, ["a"], rows[1:], "other")
    with any_database.read() as session:
        found = segments.vectors(session, ["a", "b", "c"], "e")
    assert {key: value.tolist() for key, value in found.items()} == {
        "a": [0, 1, 2],
        "b": [3, 4, 5],
    }


def test_vectors_that_no_lead_needs_are_forgotten(any_database: Database) -> None:
    World(any_database, leads=1)
    with any_database.write() as session:
        segments.set_content_hashes(session, {1: "a", 99: "gone"})
        segments.add_vectors(session, ["a", "b"], np.ones((2, 3), np.float32), "e")
        segments.add_vectors(session, ["a"], np.ones((1, 3), np.float32), "old")
        assert segments.forget_vectors(session, "e") == 2
        assert segments.known_contents(session, ["a", "b"], "e") == {"a"}
