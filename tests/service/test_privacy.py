"""What is too old goes, what is evidence or a promise stays."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from pigeonry.config import Home, load_home
from pigeonry.domain import SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.service import subscriptions
from pigeonry.service.privacy import retain
from pigeonry.store import consent_texts, consents
from pigeonry.store.models import (
    CompletionCache,
    Consent,
    Event,
    Job,
    Lead,
    LlmCall,
    Message,
    RawEvent,
    Suppression,
)
from pigeonry.store.session import Database
from tests.delivery.world import World

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
OLD = NOW - timedelta(days=500)
STATES = ("accepted", "unknown", "parked")


def age(db: Database, home: Home) -> World:
    """Three mails of long ago, two of unknown fate, with everything that came of them."""
    world = World(db, leads=3, at=OLD)
    world.plan()
    for position, state in enumerate(STATES, 1):
        world.set_state(position, state)
    world.suppress(1)
    with db.write() as session:
        for number, drained in ((1, OLD), (2, None)):
            session.add(
                RawEvent(
                    source="sendgrid", body=b"[1]", body_hash=f"{number:064x}", headers={"a": "b"},
                    received_at=OLD, drained_at=drained, error="x",
                )
            )  # fmt: skip
        session.flush()
        raw_id = session.scalars(select(RawEvent.id)).first()
        for number, message_id in enumerate([*world.message_ids(), None]):
            session.add(
                Event(
                    source="s", event_id=str(number), raw_event_id=raw_id, message_id=message_id,
                    kind="open", at=OLD, human=1.0, url="", user_agent="", ip="", reason="",
                )
            )  # fmt: skip
        session.add(
            LlmCall(
                campaign_id=None, language="ro", tier="t", model="m", prompt="p", task="subject",
                outcome="accepted", cache="miss", tokens_in=7, tokens_out=1, cost_micros=9, currency="EUR",
                seconds=0.1, reason="r", proposal="Salut", at=OLD,
            )
        )  # fmt: skip
        session.add(
            CompletionCache(
                key="k", model="m", response={"a": 1}, tokens_in=1, tokens_out=1, cost_micros=0, hits=0,
                owner="", created_at=OLD,
            )
        )  # fmt: skip
    keys = world.keys()
    files = [home.outbox / "campaign-1" / f"{key}.eml" for key in keys]
    files += [home.reports / "import-1-errors.csv", home.reports / "campaign-1.html"]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        os.utime(path, (OLD.timestamp(), OLD.timestamp()))
    return world


LATE = "late reports about erased people"
EXPECTED = {
    "events": 2,
    "raw bodies": 1,
    "leads that never confirmed": 0,
    "proposals of models": 1,
    "cached answers of models": 1,
    "requests to be written to": 0,
    "ids of what CRMs told": 0,
    "what CRMs told and was not taken": 0,
    "late reports about erased people": 0,
    "mail files": 1,
    "error files of imports": 1,
    "uploaded lists that nobody imported": 0,
}


def test_what_is_too_old_goes_and_evidence_of_unknown_mails_stays(
    any_database: Database, home: Home
) -> None:
    world = age(any_database, home)
    report = retain(any_database, home, now=NOW, dry_run=False)
    assert report.gone == EXPECTED

    with any_database.read() as session:
        left = set(session.scalars(select(Event.message_id)))
        assert left == set(world.message_ids()[1:])
        assert [row.body for row in session.scalars(select(RawEvent).order_by(RawEvent.id))] == [
            b"", b"[1]",
        ]  # fmt: skip
        call = session.scalars(select(LlmCall)).one()
        assert (call.proposal, call.tokens_in, call.cost_micros) == ("", 7, 9)
        for table, number in ((Lead, 3), (Consent, 3), (Message, 3), (Suppression, 1)):
            assert session.query(table).count() == number
    assert world.states() == list(STATES)
    assert sorted(path.stem for path in home.outbox.rglob("*.eml")) == sorted(world.keys()[1:])
    assert (home.reports / "campaign-1.html").exists()
    assert sum(retain(any_database, home, now=NOW, dry_run=False).gone.values()) == 0


def test_a_dry_run_counts_the_same_and_takes_nothing(database: Database, home: Home) -> None:
    age(database, home)
    for _ in range(2):
        assert retain(database, home, now=NOW, dry_run=True).gone == EXPECTED
    assert len(list(home.outbox.rglob("*.eml"))) == 3


def test_the_settings_say_how_long(database: Database, home: Home) -> None:
    age(database, home)
    (home.path / "pigeonry.toml").write_text(
        "[privacy]\nevents_days = 501\nraw_days = 501\nmails_days = 501\nprompts_days = 501\n"
    )
    longer = load_home(home.path, env={})
    assert sum(retain(database, longer, now=NOW, dry_run=False).gone.values()) == 0


def test_a_cached_answer_that_somebody_is_asking_for_is_left_alone(
    database: Database, home: Home
) -> None:
    with database.write() as session:
        session.add(
            CompletionCache(
                key="k", model="m", response=None, tokens_in=1, tokens_out=1, cost_micros=0, hits=0,
                owner="me", created_at=OLD, lease_until=NOW,
            )
        )  # fmt: skip
    assert retain(database, home, now=NOW, dry_run=False).gone["cached answers of models"] == 0


@pytest.mark.parametrize("confirmed", [True, False])
def test_an_address_that_was_typed_in_and_never_confirmed_is_forgotten_and_may_come_again(
    any_database: Database, home: Home, confirmed: bool
) -> None:
    from pigeonry.delivery.opt_in import load_opt_in_links

    def ask(at: datetime) -> None:
        subscriptions.request_opt_in(
            any_database, home, email="ion@exemplu.ro", language="ro", text_version="", source="x",
            ip="", now=at,
        )  # fmt: skip

    with any_database.write() as session:
        consent_texts.add(session, language="ro", text="Da.", at=OLD)
    ask(OLD)
    if confirmed:
        with any_database.read() as session:
            row = session.scalars(select(Job)).one()
            token = load_opt_in_links(home).token(row.id, row.payload["send_key"])
        assert subscriptions.confirm_opt_in(
            any_database, home, token, ip="", user_agent="", now=OLD
        )
    gone = retain(any_database, home, now=NOW, dry_run=False).gone
    assert gone["leads that never confirmed"] == (0 if confirmed else 1)
    with any_database.read() as session:
        assert session.query(Lead).count() == (1 if confirmed else 0)
        assert session.query(Suppression).count() == 0
        assert session.query(Job).where(Job.kind == "opt-in-mail").count() == 0
    ask(NOW)
    with any_database.read() as session:
        assert session.query(Job).where(Job.kind == "opt-in-mail").count() == 1


def test_what_a_provider_reports_after_an_erasure_is_struck_out(
    any_database: Database, home: Home
) -> None:
    """An element of an erased person goes, with its event; others in the same body stay."""
    digest = address_hash("ion@exemplu.ro", home.secret("suppression.key"))
    body = b'[{"email": "Ion@exemplu.ro"}, {"email": "ana@exemplu.ro"}]'
    with any_database.write() as session:
        consents.suppress(session, digest, reason=SuppressionReason.ERASURE, source="x", at=NOW)
        raw = RawEvent(
            source="sendgrid", body=body, body_hash="a" * 64, headers={}, received_at=NOW,
            drained_at=NOW, error="",
        )  # fmt: skip
        session.add(raw)
        session.flush()
        for number, hashed in enumerate((digest, "b" * 64)):
            session.add(
                Event(
                    source="s", event_id=str(number), raw_event_id=raw.id, kind="delivered", at=NOW,
                    human=1.0, url="", user_agent="", ip="", reason="", address_hash=hashed,
                )
            )  # fmt: skip
    assert retain(any_database, home, now=NOW, dry_run=False).gone[LATE] == 1
    with any_database.read() as session:
        assert session.scalars(select(RawEvent.body)).one() == b'[{"email": "ana@exemplu.ro"}]'
        assert session.scalars(select(Event.address_hash)).all() == ["b" * 64]
    assert retain(any_database, home, now=NOW, dry_run=False).gone[LATE] == 0
