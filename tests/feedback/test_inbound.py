"""Mails that come back are understood: bounces, complaints, answers, and who asks us to stop."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback.events import Received
from feedback.inbound import parse_inbound
from pigeonry.domain import EventKind
from tests.feedback.answers import KEY, RETURNED, bounce, form, mail

TOKEN = "aeaaaaaaaaaacaaaaaaax4mnjzl2tq6lr3ykuo5dbmz5"
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def understood(raw: bytes) -> list[Received]:
    received, errors = parse_inbound(raw, NOON).read()
    assert not errors
    return received


def kinds(raw: bytes) -> list[EventKind]:
    return [item.event.kind for item in understood(raw)]


@pytest.mark.parametrize(
    ("action", "status", "diagnostic", "kind"),
    [
        ("failed", "5.1.1", "smtp; 550 5.1.1 no such user", EventKind.BOUNCE),
        ("failed", "5.0.0", "smtp; 550 unknown user", EventKind.BOUNCE),
        ("failed", "5.0.0", "smtp; 550 5.7.1 blocked by policy", EventKind.BLOCKED),
        ("failed", "5.7.26", "", EventKind.BLOCKED),
        ("failed", "5.2.2", "smtp; 552 5.2.2 mailbox full", EventKind.BLOCKED),
        ("failed", "4.4.7", "", EventKind.BLOCKED),
        ("failed", "4.2.1", "", EventKind.DEFERRED),
        ("delayed", "4.4.1", "", EventKind.DEFERRED),
        ("delivered", "2.0.0", "", EventKind.DELIVERED),
        ("relayed", "2.0.0", "", EventKind.PROCESSED),
        ("Failed", "", "smtp; 451 try again", EventKind.DEFERRED),
    ],
)
def test_a_delivery_report_says_what_became_of_the_mail(
    action: str, status: str, diagnostic: str, kind: EventKind
) -> None:
    [item] = understood(bounce(action, status, diagnostic))
    assert item.event.kind is kind
    assert item.event.send_key == KEY
    assert item.address == "ana@example.ro"


@pytest.mark.parametrize(
    ("returned", "key", "token"),
    [
        (f"Message-ID: <{KEY}@shop.example>\r\n", KEY, ""),
        (f"List-Unsubscribe: <https://shop.example/u/{TOKEN}>\r\n", "", TOKEN),
        ("Subject: none of ours\r\n", "", ""),
    ],
)
def test_our_mail_is_known_by_what_was_returned_of_it(returned: str, key: str, token: str) -> None:
    [item] = understood(bounce("failed", "5.1.1", returned=returned))
    assert (item.event.send_key, item.token) == (key, token)


def test_a_bounce_in_a_servers_own_words_is_understood_by_its_codes() -> None:
    raw = mail(
        f"ana@example.ro: host said: 550 5.1.1 unknown\n\nX-Pigeonry-Key: {KEY}\n",
        key="",
        subject="Mail delivery failed: returning message to sender",
        From="Mailer-Daemon@mx.example.ro",
        X_Failed_Recipients="ana@example.ro",
    )
    [item] = understood(raw)
    assert (item.event.kind, item.event.send_key) == (EventKind.BOUNCE, KEY)
    assert item.address == "ana@example.ro"


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("abuse", EventKind.COMPLAINT),
        ("fraud", EventKind.COMPLAINT),
        ("opt-out", EventKind.UNSUBSCRIBE),
        ("not-spam", EventKind.OTHER),
        ("auth-failure", EventKind.OTHER),
    ],
)
def test_a_feedback_report_is_a_complaint_unless_it_says_otherwise(
    said: str, kind: EventKind
) -> None:
    raw = (
        "From: fbl@provider.example\r\nTo: hello@shop.example\r\nSubject: FW: Curs\r\n"
        'Content-Type: multipart/report; report-type=feedback-report; boundary="b"\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nThis is an abuse report.\r\n"
        "--b\r\nContent-Type: message/feedback-report\r\n\r\n"
        f"Feedback-Type: {said}\r\nUser-Agent: x/1\r\nOriginal-Rcpt-To: <ana@example.ro>\r\n"
        f"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n{RETURNED}Subject: Curs\r\n\r\nhi\r\n--b--\r\n"
    ).encode()
    [item] = understood(raw)
    assert (item.event.kind, item.event.send_key) == (kind, KEY)
    assert item.address == "ana@example.ro"


def test_an_answer_is_a_reply_and_with_a_stop_an_unsubscribe_too() -> None:
    assert kinds(mail("Când începe?")) == [EventKind.REPLY]
    assert kinds(mail("Vă rog să mă dezabonați.")) == [EventKind.REPLY, EventKind.UNSUBSCRIBE]
    [item] = understood(mail("Super!", From="alta@example.ro"))
    assert (item.event.send_key, item.address) == (KEY, "alta@example.ro")


def test_without_our_key_only_a_stop_counts() -> None:
    assert kinds(mail("Aveți locuri?", key="", subject="Întrebare")) == [EventKind.OTHER]
    assert kinds(mail("", key="", subject="Dezabonare")) == [EventKind.UNSUBSCRIBE]
    assert kinds(mail("nu mai vreau mailuri", key="", subject="Salut")) == [EventKind.UNSUBSCRIBE]


@pytest.mark.parametrize("auto", [{}, {"Auto_Submitted": "auto-generated"}])
def test_the_mail_that_list_unsubscribe_asks_for_is_an_unsubscribe(auto: dict[str, str]) -> None:
    raw = mail("", key="", subject=f"unsubscribe {TOKEN.upper()}", **auto)
    [item] = understood(raw)
    assert (item.event.kind, item.token) == (EventKind.UNSUBSCRIBE, TOKEN)


def test_a_quoted_unsubscribe_link_tells_whose_mail_was_answered() -> None:
    text = f"Când începe?\n\n> Salut\n> Dezabonare: https://shop.example/u/{TOKEN}\n"
    [item] = understood(mail(text, key=""))
    assert (item.event.kind, item.token) == (EventKind.REPLY, TOKEN)


@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        ("Re: Curs", {"Auto_Submitted": "auto-replied"}),
        ("Re: Curs", {"X_Autoreply": "yes"}),
        ("Re: Curs", {"Precedence": "auto_reply"}),
        ("Out of Office: Curs", {}),
        ("Automatic reply: Curs", {}),
        ("Răspuns automat: Curs", {}),
        ("Concediu", {}),
        ("Sunt în concediu până luni", {}),
    ],
)
def test_an_automatic_reply_is_no_reply(subject: str, headers: dict[str, str]) -> None:
    raw = mail("Sunt plecată. Stop.", subject=subject, **headers)
    if headers:
        assert kinds(raw) == [EventKind.OTHER]
    else:
        assert kinds(mail("Revin luni.", subject=subject)) == [EventKind.OTHER]


def test_a_campaign_about_holidays_is_answered_by_people() -> None:
    assert kinds(mail("Cât costă?", subject="Re: Concediu la mare")) == [EventKind.REPLY]


def test_a_stop_wins_over_a_subject_that_looks_automatic() -> None:
    raw = mail("Dezabonare!", subject="Concediu")
    assert kinds(raw) == [EventKind.REPLY, EventKind.UNSUBSCRIBE]


def test_our_own_subject_is_not_held_against_whoever_answers_it() -> None:
    raw = mail("Da, vin!", subject="Re: Nu mai vrei mailuri plictisitoare?")
    assert kinds(raw) == [EventKind.REPLY]


def test_a_mail_of_our_own_is_nobodys_answer() -> None:
    assert kinds(mail("Dezabonare", X_Pigeonry_Key=KEY)) == [EventKind.OTHER]


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-2", "windows-1250", "x-unknown"])
def test_the_charset_of_a_reply_does_not_matter(charset: str) -> None:
    text = "Vă rog să mă ştergeţi din listă"
    raw = text.encode("utf-8" if charset == "x-unknown" else charset)
    head = (
        f"From: a@example.ro\r\nSubject: x\r\nContent-Type: text/plain; charset={charset}\r\n\r\n"
    )
    assert kinds(head.encode() + raw) == [EventKind.UNSUBSCRIBE]


def test_a_html_only_reply_is_read() -> None:
    message = EmailMessage()
    message["From"] = "a@example.ro"
    message["Subject"] = "Re: Curs"
    message.set_content("<p>Vreau <b>dezabon</b>are</p><blockquote>Curs</blockquote>", "html")
    assert kinds(message.as_bytes()) == [EventKind.UNSUBSCRIBE]


def test_sendgrids_form_and_the_raw_mail_are_the_same_event() -> None:
    raw = mail("Vă rog să mă dezabonați.")
    posted = understood(form(to="hello@shop.example", email=raw, spam_score="0.1"))
    assert [item.event.id for item in posted] == [item.event.id for item in understood(raw)]
    assert len(posted) == 2


def test_sendgrids_parsed_fields_are_read_too() -> None:
    posted = form(
        **{"from": "Ana <ana@example.ro>"},
        subject="Re: Curs",
        headers=f"In-Reply-To: <{KEY}@shop.example>\nMessage-ID: <a@b>\n",
        text="Nu mai vreau mailuri.\n",
        envelope='{"to":["hello@shop.example"],"from":"ana@example.ro"}',
    )
    items = understood(posted)
    assert [item.event.kind for item in items] == [EventKind.REPLY, EventKind.UNSUBSCRIBE]
    assert {item.event.send_key for item in items} == {KEY}
    assert {item.address for item in items} == {"ana@example.ro"}


def test_a_plausible_date_counts_and_another_does_not() -> None:
    written = NOON - timedelta(hours=3)
    plausible = mail("x", Date=written.strftime("%a, %d %b %Y %H:%M:%S +0000"))
    assert understood(plausible)[0].event.at == written
    for bad in ("Mon, 1 Jan 1990 00:00:00 +0000", "Mon, 1 Jan 2029 00:00:00 +0000", "yesterday"):
        assert understood(mail("x", Date=bad))[0].event.at == NOON


def test_no_words_of_the_mail_are_kept_with_the_event() -> None:
    items = understood(mail("Numărul meu este 0722 000 111. Dezabonare.", subject="Secret"))
    kept = " ".join(f"{item.event.reason}{item.event.url}" for item in items)
    assert "0722" not in kept
    assert "Secret" not in kept


@given(st.binary(max_size=400), st.sampled_from([b"", b"From: a@b\r\n", bounce("failed", "5.1.1")]))
def test_no_bytes_raise(noise: bytes, head: bytes) -> None:
    for body in (head + noise, head[:200] + noise + head[200:], form(email=noise)):
        received, errors = parse_inbound(body, NOON).read()
        assert received or errors


@pytest.mark.parametrize("head", ["multipart/mixed", "message/rfc822"])
def test_a_mail_of_parts_within_parts_is_still_read(head: str) -> None:
    raw = b"From: a@example.ro\r\nSubject: x\r\n"
    for number in range(1200):
        raw += f'Content-Type: {head}; boundary="b{number}"\r\n\r\n'.encode()
        raw += f"--b{number}\r\n".encode() if head.startswith("multipart") else b""
    assert kinds(raw + b"\r\ndezabonare\r\n") == [EventKind.UNSUBSCRIBE]


@pytest.mark.parametrize("body", [b"", b"\r\n", b"<html>", b"{}", b"--x\r\n"])
def test_what_is_no_mail_is_an_error_and_no_event(body: bytes) -> None:
    received, errors = parse_inbound(body, NOON).read()
    assert (len(received), len(errors)) == (0, 1)
