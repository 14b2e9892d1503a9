"""What SendGrid's lists hold stops mail, once, whatever the webhook failed to say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from pigeonry.config import Home, load_home
from pigeonry.domain import ConsentBasis, ConsentState
from pigeonry.domain.address import address_hash
from pigeonry.errors import ConfigError, OutsideFailure
from pigeonry.service.pull import is_due, pull_stops
from pigeonry.store import consents, pulls
from pigeonry.store.models import Consent, Event, Suppression
from pigeonry.store.session import Database
from tests.delivery.sinks import ApiSink, api_sink
from tests.delivery.world import START, World

ENV = {"PIGEONRY_SENDGRID_KEY": "SG.key"}
WHEN = int((START - timedelta(hours=2)).timestamp())


class Lists:
    """SendGrid's five lists, with its own filter by time."""

    def __init__(self, **rows: list[tuple[str, int]]) -> None:
        self.rows = rows
        self.fail_at = ""

    def __call__(self, path: str, query: dict[str, str]) -> Any:
        name = path.rpartition("/")[2]
        if name == self.fail_at:
            return 503
        start, end = int(query.get("start_time", 0)), int(query["end_time"])
        found = [row for row in self.rows.get(name, []) if start <= row[1] <= end]
        found = found[int(query["offset"]) :][: int(query["limit"])]
        return [{"email": email, "created": at, "reason": f"about {email}"} for email, at in found]


def at_sink(home: Home, sink: ApiSink) -> Home:
    env = {"PIGEONRY_SENDGRID__HOST": sink.host, "PIGEONRY_SENDING__CHANNEL": "sendgrid"}
    return load_home(home.path, env=env)


def digest(home: Home, number: int) -> str:
    return address_hash(f"lead{number}@example.com", home.secret("suppression.key"))


def world(database: Database, home: Home, leads: int) -> World:
    found = World(database, leads=leads)
    for number in range(1, leads + 1):
        found.change_lead(found.lead_ids[number - 1], address_hash=digest(home, number))
    return found


def reasons(database: Database) -> dict[str, str]:
    with database.read() as session:
        rows = session.execute(select(Suppression.address_hash, Suppression.reason))
        return {row[0]: row[1] for row in rows}


FIVE = Lists(
    bounces=[("lead1@example.com", WHEN)],
    blocks=[("lead2@example.com", WHEN)],
    invalid_emails=[("LEAD3@example.com", WHEN)],
    spam_reports=[("lead4@example.com", WHEN)],
    unsubscribes=[("lead5@example.com", WHEN), ("stranger@example.com", WHEN)],
)


def test_each_list_stops_whom_it_should_and_a_block_nobody(
    any_database: Database, home: Home
) -> None:
    known = world(any_database, home, 5)
    with api_sink(lists=FIVE) as sink:
        report = pull_stops(any_database, at_sink(home, sink), now=START, env=ENV)
    assert report.since is None
    assert report.lists == {
        "bounces": 1, "blocks": 1, "invalid_emails": 1, "spam_reports": 1, "unsubscribes": 2,
    }  # fmt: skip
    stranger = address_hash("stranger@example.com", home.secret("suppression.key"))
    assert reasons(any_database) == {
        digest(home, 1): "bounce",
        digest(home, 3): "bounce",
        digest(home, 4): "complaint",
        digest(home, 5): "unsubscribe",
        stranger: "unsubscribe",
    }
    with any_database.read() as session:
        states = consents.consent_states(session, known.lead_ids)
    assert [states[lead_id] for lead_id in known.lead_ids] == [
        ConsentState.GRANTED, ConsentState.GRANTED, ConsentState.GRANTED,
        ConsentState.WITHDRAWN, ConsentState.WITHDRAWN,
    ]  # fmt: skip


def test_a_second_pull_finds_nothing_new(any_database: Database, home: Home) -> None:
    world(any_database, home, 5)
    with api_sink(lists=FIVE) as sink:
        first = pull_stops(any_database, at_sink(home, sink), now=START, env=ENV)
        again = pull_stops(
            any_database, at_sink(home, sink), now=START + timedelta(hours=1), env=ENV
        )
    assert (first.ingested.applied, again.ingested.applied) == (6, 0)
    assert again.since == START - timedelta(hours=24)
    with any_database.read() as session:
        said = session.scalars(select(Consent).where(Consent.state == "withdrawn")).all()
    assert len(said) == 2


def test_who_confirmed_anew_is_not_stopped_by_what_came_before(
    database: Database, home: Home
) -> None:
    known = world(database, home, 5)
    with api_sink(lists=FIVE) as sink:
        pull_stops(database, at_sink(home, sink), now=START, env=ENV)
        with database.write() as session:
            consents.lift_by_confirming(session, digest(home, 5))
            consents.record(
                session, known.lead_ids[4], state=ConsentState.GRANTED, basis=ConsentBasis.EXPRESS,
                source="double opt-in", proof="", at=START + timedelta(minutes=5),
            )  # fmt: skip
        pull_stops(database, at_sink(home, sink), now=START + timedelta(hours=1), env=ENV)
    assert digest(home, 5) not in reasons(database)
    with database.read() as session:
        assert consents.consent_state(session, known.lead_ids[4]) is ConsentState.GRANTED


def test_a_list_that_fails_is_asked_for_again_from_the_same_moment(
    database: Database, home: Home
) -> None:
    world(database, home, 5)
    lists = Lists(**FIVE.rows)
    lists.fail_at = "spam_reports"
    with api_sink(lists=lists) as sink:
        found = at_sink(home, sink)
        with pytest.raises(OutsideFailure, match="spam_reports"):
            pull_stops(database, found, now=START, env=ENV)
        assert digest(home, 1) in reasons(database)  # what came before it counts
        with database.read() as session:
            assert pulls.last(session) is None
        lists.fail_at = ""
        report = pull_stops(database, found, now=START, env=ENV)
    assert report.since is None
    assert digest(home, 4) in reasons(database)


def test_neither_ids_nor_reasons_give_an_address_away(database: Database, home: Home) -> None:
    with api_sink(lists=FIVE) as sink:
        pull_stops(database, at_sink(home, sink), now=START, env=ENV)
    with database.read() as session:
        rows = [(row.event_id, row.reason, row.url) for row in session.scalars(select(Event))]
    assert rows
    assert "example.com" not in str(rows)


@pytest.mark.parametrize(
    ("channel", "fallback", "hours", "due"),
    [
        ("sendgrid", "", None, True),
        ("smtp", "sendgrid", None, True),
        ("smtp", "file", None, False),
        ("sendgrid", "", 23, False),
        ("sendgrid", "", 24, True),
    ],
)
def test_a_pull_is_due_once_a_day_where_mail_leaves_by_sendgrid(
    database: Database, home: Home, channel: str, fallback: str, hours: int | None, due: bool
) -> None:
    env = {"PIGEONRY_SENDING__CHANNEL": channel, "PIGEONRY_SENDING__FALLBACK": fallback}
    if hours is not None:
        with database.write() as session:
            pulls.add(session, began=START - timedelta(hours=hours), result={})
    assert is_due(database, load_home(home.path, env=env), now=START) == due


def test_a_missing_key_is_named(database: Database, home: Home) -> None:
    with pytest.raises(ConfigError, match="PIGEONRY_SENDGRID_KEY"):
        pull_stops(database, home, now=START, env={})
