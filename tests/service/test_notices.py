"""Notices: each thing that happened is told once to each address, signed, and again until it is taken."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from pigeonry.config import Home
from pigeonry.domain.address import address_hash
from pigeonry.domain.lead import SuppressionReason
from pigeonry.domain.notice import NoticeKind, NoticeState
from pigeonry.errors import OutsideFailure, WrongUse
from pigeonry.service import notices
from pigeonry.store import consents, summaries
from pigeonry.store.models import Campaign, Lead, Message
from pigeonry.store.session import Database
from tests.delivery.world import START, World

NOW = START + timedelta(hours=3)
URL = "https://crm.example.com/hook"


class Far:
    """The other program: remembers what it was told, and answers as it is made to."""

    def __init__(self, *answers: int) -> None:
        self.answers = list(answers)
        self.told: list[tuple[str, bytes, Mapping[str, str]]] = []

    def __call__(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.told.append((url, body, headers))
        answer = self.answers.pop(0) if self.answers else 204
        if not answer:
            raise OutsideFailure("no answer", transient=True)
        return answer

    def said(self) -> list[tuple[str, dict[str, object]]]:
        found = [json.loads(body) for _, body, _ in self.told]
        return [(one["type"], one["data"]) for one in found]


def add(database: Database, home: Home, *kinds: NoticeKind) -> tuple[int, bytes]:
    made, secret = notices.add(
        database, home, url=URL, kinds=kinds or notices.KINDS, by="test", now=START
    )
    assert secret.startswith("whsec_")
    return made.id, base64.b64decode(secret.removeprefix("whsec_"))


def happen(database: Database, home: Home) -> None:
    """A campaign ends with one message that nobody can know about, somebody leaves, clicks drift."""
    world = World(database, leads=3)
    world.plan()
    with database.write() as session:
        session.execute(update(Campaign).values(state="done", finished_at=NOW))
        message = session.scalars(select(Message)).first()
        assert message is not None
        message.state = "parked"
        lead = session.get_one(Lead, world.lead_ids[1])
        lead.address_hash = address_hash(lead.email, home.secret("suppression.key"))
        for digest in (lead.address_hash, "f" * 64):
            consents.suppress(
                session, digest, reason=SuppressionReason.UNSUBSCRIBE, source="page", at=NOW
            )
        drift = [{"what": "clicks", "before": 0.03, "after": 0.01}]
        summaries.put(session, summaries.LEARNED, {"drift": drift}, at=NOW)


def test_what_happened_is_told_once_and_signed(any_database: Database, home: Home) -> None:
    _, secret = add(any_database, home)
    happen(any_database, home)
    far = Far()
    for _ in range(2):
        notices.look(any_database, now=NOW)
        notices.deliver(any_database, home, now=NOW, post=far)
    told = dict(far.said())
    assert len(far.told) == 4
    assert set(told) == {"campaign.finished", "messages.parked", "lead.suppressed", "drift"}
    assert told["messages.parked"]["parked"] == 1
    assert told["lead.suppressed"]["reason"] == "unsubscribe"
    assert told["drift"] == {"what": "clicks", "before": 0.03, "after": 0.01}
    assert b"@example.com" not in b"".join(body for _, body, _ in far.told)
    for _, body, headers in far.told:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        tag = base64.b64encode(hmac.digest(secret, signed, "sha256")).decode()
        assert headers["webhook-signature"] == f"v1,{tag}"


def test_only_what_was_asked_for_and_happened_since_is_told(database: Database, home: Home) -> None:
    happen(database, home)
    add(database, home, NoticeKind.DRIFT)
    notices.add(
        database,
        home,
        url=URL,
        kinds=(NoticeKind.CAMPAIGN_FINISHED, NoticeKind.LEAD_SUPPRESSED),
        by="test",
        now=NOW + timedelta(minutes=1),
    )
    assert notices.look(database, now=NOW + timedelta(minutes=2)) == 1
    assert [one.kind for one in notices.newest(database)] == [NoticeKind.DRIFT]


def test_what_was_not_taken_is_told_again_later_and_given_up_after_days(
    database: Database, home: Home
) -> None:
    add(database, home, NoticeKind.DRIFT)
    happen(database, home)
    notices.look(database, now=NOW)
    far = Far(*([500, 0, 302] * 4))
    moment, waits = NOW, []
    while (one := notices.newest(database)[0]).state is NoticeState.WAITING:
        waits.append((one.next_at - moment).total_seconds())
        moment = one.next_at
        assert notices.deliver(database, home, now=moment, post=far) == 0
    assert one.state is NoticeState.FAILED
    assert waits == [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert len({headers["webhook-id"] for _, _, headers in far.told}) == 1


def test_who_says_gone_is_left_alone(database: Database, home: Home) -> None:
    number, _ = add(database, home)
    notices.ask_for_test(database, number, now=NOW)
    notices.deliver(database, home, now=NOW, post=Far(410))
    assert notices.addresses(database)[0].stopped_at == NOW
    happen(database, home)
    assert notices.look(database, now=NOW) == 0


def test_what_one_process_is_telling_no_other_takes(database: Database, home: Home) -> None:
    number, _ = add(database, home)
    notices.ask_for_test(database, number, now=NOW)
    inner = Far()

    def slow(url: str, body: bytes, headers: Mapping[str, str]) -> int:
        notices.deliver(database, home, now=NOW + timedelta(seconds=60), post=inner)
        return 200

    assert notices.deliver(database, home, now=NOW, post=slow) == 1
    assert inner.told == []
    assert notices.newest(database)[0].state is NoticeState.SENT


def test_the_secret_is_not_in_the_database_in_clear(database: Database, home: Home) -> None:
    _, secret = add(database, home)
    kept = database.engine.raw_connection().execute("SELECT secret FROM notice_address").fetchone()
    assert secret not in bytes(kept[0])
    with pytest.raises(WrongUse):
        notices.add(database, home, url="http://10.0.0.1/", kinds=notices.KINDS, by="test", now=NOW)
