"""What is delivered to the web process, and that the oracle notices what is wrong."""

from __future__ import annotations

import json
import random

from sqlalchemy import delete, update

from pigeonry.config import Home
from pigeonry.domain.clock import utc_now
from pigeonry.prove.delivered import compare, fill
from pigeonry.prove.deliveries import corpus, posts_of
from pigeonry.service.events import ingest_events
from pigeonry.store.models import Event, Message
from pigeonry.store.session import Database


def test_every_event_is_posted_and_as_often_as_was_said() -> None:
    made = corpus(1_000, random.Random(1))
    posts = posts_of(made, 2_500, random.Random(2))
    assert sum(number for number, _, _ in posts) == 2_500
    text = b"".join(body for _, body, forged in posts if not forged)
    assert all(event_id.encode() in text for event_id in made.kinds)
    assert b"evil" not in text
    assert any(forged for _, _, forged in posts)


def test_the_same_seed_gives_the_same_events() -> None:
    assert corpus(500, random.Random(5)).bodies == corpus(500, random.Random(5)).bodies


def test_the_oracle_agrees_with_a_quiet_run_and_notices_each_kind_of_damage(
    home: Home, any_database: Database
) -> None:
    made = corpus(600, random.Random(3))
    fill(any_database, home, made)
    assert compare(any_database, made)["lost"] == 600
    body = b"[" + b",".join(made.bodies[::-1]) + b"]"
    ingest_events(any_database, home, body, source="sendgrid", now=utc_now())
    found = compare(any_database, made)
    assert (found["lost"], found["wrong"]) == (0, 0), found
    with any_database.write() as session:
        session.execute(delete(Event).where(Event.event_id == next(iter(made.kinds))))
        session.execute(update(Message).where(Message.send_key == made.keys[0]).values(status="x"))
    ingest_events(any_database, home, b"[" + made.evil(1) + b"]", source="sendgrid", now=utc_now())
    found = compare(any_database, made)
    assert found["lost"] == 1
    assert found["wrong_by"]["foreign"] == 1
    assert found["wrong_by"]["status"] == 1
    json.dumps(found)
