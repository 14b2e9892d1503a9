"""A confirmation mail leaves at most once, carries a link that works, and stays when nobody may be asked."""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest

from pigeonry.config import Home, load_home
from pigeonry.delivery.file import FileSender
from pigeonry.domain import HandOver, Outcome, OutgoingMessage, SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.errors import ConfigError
from pigeonry.service import holding, subscriptions
from pigeonry.service.opt_in_mails import send_opt_in_mails
from pigeonry.store import consent_texts, consents, opt_ins
from pigeonry.store.session import Database

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@dataclass
class Answering:
    """A sender whose answers are given; it keeps what it was handed."""

    answer: Callable[[], HandOver]
    name: str = "fake"
    max_seconds: float = 30.0
    seen: list[OutgoingMessage] = field(default_factory=list)

    def hand_over(self, message: OutgoingMessage) -> HandOver:
        self.seen.append(message)
        return self.answer()

    def evidence(self, send_key: str) -> bool | None:
        return None


def fine() -> HandOver:
    return HandOver(Outcome.ACCEPTED, provider_id="p1")


@pytest.fixture
def asking(home: Home) -> Home:
    (home.path / "pigeonry.toml").write_text(
        '[opt_in]\nfrom_email = "salut@scoala.example"\nfrom_name = "Școala de Seară"\n',
        encoding="utf-8",
    )
    return load_home(home.path, env={})


def ask(db: Database, home: Home, address: str = "ion@exemplu.ro", language: str = "ro") -> None:
    with db.write() as session:
        for code, text in (("ro", "Sunt de acord să primesc <noutăți>."), ("en", "I agree.")):
            consent_texts.add(session, language=code, text=text, at=NOW)
    subscriptions.request_opt_in(
        db, home, email=address, language=language, text_version="", source="footer", ip="", now=NOW
    )


def states(db: Database) -> dict[str, int]:
    with db.read() as session:
        return opt_ins.counts(session)


@pytest.mark.parametrize(("language", "subject"), [("ro", "Confirmați"), ("en", "Please confirm")])
def test_the_mail_is_written_in_the_persons_language_and_its_link_confirms(
    any_database: Database, asking: Home, language: str, subject: str
) -> None:
    ask(any_database, asking, language=language)
    report = send_opt_in_mails(any_database, asking, now=NOW)
    assert (report.sent, report.waiting) == (1, 0)

    (path,) = asking.outbox.rglob("*.eml")
    mail = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(mail, EmailMessage)
    assert not mail.defects
    assert mail["Subject"].startswith(subject)
    assert mail["To"] == "ion@exemplu.ro"
    plain, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert "<noutăți>" not in html.get_content()
    link = re.search(r"http://127\.0\.0\.1:8080/c/(\w+)", plain.get_content())
    assert link is not None
    assert link[0] in html.get_content()
    assert subscriptions.confirm_opt_in(
        any_database, asking, link[1], ip="", user_agent="", now=NOW
    )


def test_a_second_run_sends_nothing_again(any_database: Database, asking: Home) -> None:
    ask(any_database, asking)
    sender = Answering(fine)
    send_opt_in_mails(any_database, asking, now=NOW, sender=sender)
    send_opt_in_mails(any_database, asking, now=NOW + HOUR, sender=sender)
    assert len(sender.seen) == 1


def test_what_a_crash_left_behind_is_unknown_and_is_never_sent_again(
    any_database: Database, asking: Home
) -> None:
    ask(any_database, asking)

    with any_database.write() as session:
        (request,) = opt_ins.queued(session, after_id=0)
        assert opt_ins.begin(session, request.id, at=NOW)  # and there it was killed
    sender = Answering(fine)
    for _ in range(3):
        send_opt_in_mails(any_database, asking, now=NOW + 2 * HOUR, sender=sender)
    assert sender.seen == []
    assert states(any_database) == {"unknown": 1}


def test_an_answer_that_proves_nothing_is_unknown_and_an_error_of_the_sender_too(
    database: Database, asking: Home
) -> None:
    ask(database, asking)
    send_opt_in_mails(
        database, asking, now=NOW, sender=Answering(lambda: HandOver(Outcome.UNKNOWN))
    )
    ask(database, asking, "maria@exemplu.ro")

    def broken() -> HandOver:
        raise RuntimeError("a bug")

    sender = Answering(broken)
    with pytest.raises(RuntimeError):
        send_opt_in_mails(database, asking, now=NOW, sender=sender)
    assert states(database) == {"unknown": 2}


def test_a_definite_refusal_for_now_is_tried_again_and_a_channel_that_is_down_stops_the_run(
    database: Database, asking: Home
) -> None:
    for name in ("ion", "maria"):
        ask(database, asking, f"{name}@exemplu.ro")
    down = Answering(lambda: HandOver(Outcome.RETRY, reason="no route", channel_down=True))
    report = send_opt_in_mails(database, asking, now=NOW, sender=down)
    assert (len(down.seen), report.waiting, report.trouble) == (1, 2, "no route")

    sender = Answering(fine)
    assert send_opt_in_mails(database, asking, now=NOW, sender=sender).sent == 2


def test_a_stop_between_request_and_hand_over_wins(database: Database, asking: Home) -> None:
    ask(database, asking)
    digest = address_hash("ion@exemplu.ro", asking.secret("suppression.key"))
    with database.write() as session:
        consents.suppress(
            session, digest, reason=SuppressionReason.UNSUBSCRIBE, source="x", at=NOW + HOUR
        )
    sender = Answering(fine)
    send_opt_in_mails(database, asking, now=NOW + 2 * HOUR, sender=sender)
    assert sender.seen == []
    assert states(database) == {"failed": 1}


def test_nothing_leaves_while_everything_is_on_hold(database: Database, asking: Home) -> None:
    ask(database, asking)
    holding.stop(database, reason="a test", now=NOW)
    sender = Answering(fine)
    with pytest.raises(holding.OnHold):
        send_opt_in_mails(database, asking, now=NOW, sender=sender)
    assert (sender.seen, states(database)) == ([], {"queued": 1})


def test_without_a_sender_address_the_mail_waits_and_the_error_says_what_to_set(
    database: Database, home: Home
) -> None:
    assert send_opt_in_mails(database, home, now=NOW).waiting == 0
    ask(database, home)
    with pytest.raises(ConfigError, match="no sender"):
        send_opt_in_mails(database, home, now=NOW, sender=FileSender(home.outbox))
    assert states(database) == {"queued": 1}
