"""What people and servers answer by mail is applied like a provider's events."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import func, select

from pigeonry.delivery.links import load_links
from pigeonry.domain import ConsentState
from pigeonry.domain.address import address_hash
from pigeonry.service.events import drain_events, ingest_events, store_raw
from pigeonry.service.ingest_report import IngestReport
from pigeonry.store import consents
from pigeonry.store.models import Event, Lead, Message, RawEvent
from tests.feedback.answers import bounce, form, mail
from tests.service.learning.world import NOON, World

LATER = NOON + timedelta(hours=4)
Make = Callable[[int], World]


def take(world: World, body: bytes) -> IngestReport:
    return ingest_events(world.db, world.home, body, source="inbound", now=LATER)


def stopped(world: World, email: str) -> bool:
    digest = address_hash(email, world.home.secret("suppression.key"))
    with world.db.read() as session:
        return bool(consents.suppressed(session, [digest]))


def consent(world: World, place: int) -> ConsentState | None:
    with world.db.read() as session:
        return consents.consent_state(session, world.lead_ids[place])


def statuses(world: World) -> list[str]:
    with world.db.read() as session:
        return list(session.scalars(select(Message.status).order_by(Message.id)))


def test_a_reply_that_says_stop_suppresses_the_lead_and_whoever_wrote_it(world: Make) -> None:
    w = world(2)
    [key, _] = w.sent(w.campaign())
    raw = mail("Vă rog să mă dezabonați.", key=key, From="Ana <private@home.example.org>")
    report = take(w, raw)
    assert (report.applied, report.suppressed, report.unmatched) == (2, 1, 0)
    assert stopped(w, "lead1@mail.example.org")
    assert stopped(w, "private@home.example.org")
    assert not stopped(w, "lead2@mail.example.org")
    assert consent(w, 0) is ConsentState.WITHDRAWN
    assert consent(w, 1) is ConsentState.GRANTED
    assert statuses(w) == ["unsubscribe", ""]


def test_an_unsubscribe_without_a_key_suppresses_its_sender(world: Make) -> None:
    w = world(2)
    report = take(w, mail("", key="", subject="Dezabonare", From="lead2@mail.example.org"))
    assert (report.suppressed, report.unmatched) == (1, 0)
    assert stopped(w, "lead2@mail.example.org")
    assert consent(w, 1) is ConsentState.WITHDRAWN
    stranger = take(w, mail("stop", key="", subject="Salut", From="nobody@else.example.org"))
    assert (stranger.suppressed, stranger.unmatched) == (1, 1)
    assert stopped(w, "nobody@else.example.org")


def test_the_subject_of_list_unsubscribe_names_the_lead_wherever_it_comes_from(
    small: Make,
) -> None:
    w = small(2)
    number = w.campaign()
    w.sent(number)
    token = load_links(w.home).unsubscribe_token(w.lead_ids[1], number)
    take(w, mail("", key="", subject=f"unsubscribe {token}", From="x@relay.example.org"))
    assert stopped(w, "lead2@mail.example.org")
    assert statuses(w) == ["", "unsubscribe"]
    forged = token[:-4] + "aaaa"
    take(w, mail("", key="", subject=f"unsubscribe {forged}", From="y@relay.example.org"))
    assert not stopped(w, "lead1@mail.example.org")


def test_a_bounce_by_mail_suppresses_and_a_policy_refusal_does_not(world: Make) -> None:
    w = world(2)
    [hard, soft] = w.sent(w.campaign())
    for key, status in ((hard, "5.1.1"), (soft, "5.7.1")):
        returned = f"X-Pigeonry-Key: {key}\r\n"
        address = f"lead{w.lead_ids[0] if key == hard else w.lead_ids[1]}@mail.example.org"
        raw = bounce("failed", status, returned=returned)
        take(w, raw.replace(b"ana@example.ro", address.encode()))
    assert statuses(w) == ["bounce", "blocked"]
    assert stopped(w, "lead1@mail.example.org")
    assert not stopped(w, "lead2@mail.example.org")
    assert consent(w, 0) is ConsentState.GRANTED


def test_a_reply_proves_that_a_message_of_unknown_fate_left(small: Make) -> None:
    w = small(1)
    [key] = w.sent(w.campaign(), state="unknown")
    assert take(w, mail("Mulțumesc!", key=key)).proven == 1
    assert statuses(w) == ["reply"]


def test_an_automatic_reply_changes_nothing(small: Make) -> None:
    w = small(1)
    [key] = w.sent(w.campaign())
    take(w, mail("Sunt în concediu. Stop.", key=key, Auto_Submitted="auto-replied"))
    assert statuses(w) == [""]
    assert not stopped(w, "lead1@mail.example.org")


def test_the_same_mail_by_mailbox_and_by_form_counts_once(small: Make) -> None:
    w = small(1)
    [key] = w.sent(w.campaign())
    raw = mail("Când începe?", key=key)
    assert take(w, raw).applied == 1
    again = take(w, form(email=raw))
    assert (again.applied, again.duplicate) == (0, 1)


def test_a_mail_is_found_again_by_whom_it_names(small: Make) -> None:
    """Erasure looks for bodies by the hash that stands beside their events."""
    w = small(1)
    [key] = w.sent(w.campaign())
    take(w, mail("Salut", key=key, From="private@home.example.org"))
    take(w, mail("Salut!", key="", subject="x", From="private@home.example.org"))
    take(w, mail("Bună", key=key, From="lead1@mail.example.org"))
    digest = address_hash("private@home.example.org", w.home.secret("suppression.key"))
    with w.db.read() as session:
        found = session.execute(select(Event.raw_event_id, Event.address_hash)).all()
        assert session.scalar(select(func.count()).select_from(Lead)) == 1
    assert [hashed for _, hashed in found] == [digest, digest, ""]


def test_a_stored_mail_waits_for_the_drain(small: Make) -> None:
    w = small(1)
    [key] = w.sent(w.campaign())
    store_raw(w.db, mail("dezabonare", key=key), source="inbound", now=LATER)
    assert not stopped(w, "lead1@mail.example.org")
    drain_events(w.db, w.home, now=LATER)
    assert stopped(w, "lead1@mail.example.org")
    with w.db.read() as session:
        assert session.scalars(select(RawEvent.drained_at)).one() is not None
