"""Mails that come back, in our own words: bounces, complaints, answers, and people who ask us to stop.

What somebody wrote is not kept with the event, only what it means.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import datetime

from feedback.bounces import Report, complaint, delivery_reports, free_report, report_kind
from feedback.events import INBOUND, EventError, ParsedEvents, Received
from feedback.mails import Mail, read_mail
from feedback.quoting import own_words
from feedback.stop_words import asks_to_stop, fold
from pigeonry.domain import Event, EventKind

_AUTO_HEADERS = ("X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply-From")
# At the beginning of a folded subject that is nobody's "Re:".
_AUTO_SUBJECTS = re.compile(
    r"(?:\w+ )?(?:out of (?:the )?office|automatic reply|auto ?(?:matic)? ?re(?:ply|sponse)|autoreply"
    r"|vacation|on holiday|away from|raspuns automat|mesaj automat|absen\w+|concediu|in concediu"
    r"|plecat\w* din birou|nu sunt (?:la|in) birou)\b"
)
_ANSWER = re.compile(r"\s*(?:re|fw|fwd|ras?p?|ref|aw|tr|sv|antw)\s*(?:\[\d+\])?\s*:", re.IGNORECASE)


def parse_inbound(body: bytes, received_at: datetime) -> ParsedEvents:
    """Understand a raw mail (RFC 5322) or SendGrid's inbound parse form. Never raises for what is in it."""
    mail = read_mail(body)
    if mail is None:
        return ParsedEvents((), (EventError(0, "no e-mail: it has neither headers nor a sender"),))
    kind = report_kind(mail.message)
    if kind == "delivery-status":
        reports = delivery_reports(mail.message) or [
            Report(EventKind.OTHER, mail.address, "a delivery report that names no recipient")
        ]
        return _events(mail, received_at, reports, mail.returned_key())
    if kind == "feedback-report":
        return _events(mail, received_at, [complaint(mail.message)], mail.returned_key())
    if report := free_report(mail.message, mail.address, mail.text):
        return _events(mail, received_at, [report], mail.returned_key() or mail.send_key())
    return _answer(mail, received_at)


def _answer(mail: Mail, received_at: datetime) -> ParsedEvents:
    """A person's mail, or a machine's that answers for one."""
    key = mail.send_key()
    words = own_words(mail.text)
    answered = _ANSWER.match(mail.subject) is not None
    # A mail program that follows our List-Unsubscribe may well say that a machine wrote it.
    by_link = bool(mail.subject_token()) and asks_to_stop(mail.subject)
    stops = by_link or asks_to_stop(words if answered and words else f"{mail.subject}\n{words}")
    automatic = _by_machine(mail) or (not stops and _away(mail.subject, answered))
    reports = []
    if mail.header("X-Pigeonry-Key"):
        reports.append(Report(EventKind.OTHER, mail.address, "a mail of our own"))
    elif automatic and not by_link:
        reports.append(Report(EventKind.OTHER, mail.address, "an automatic reply"))
    else:
        if not by_link and (key or mail.quoted_token()):
            reports.append(Report(EventKind.REPLY, mail.address, ""))
        if stops:
            reports.append(Report(EventKind.UNSUBSCRIBE, mail.address, "asked by mail"))
    if not reports:
        reports.append(Report(EventKind.OTHER, mail.address, "a mail that answers none of ours"))
    return _events(mail, received_at, reports, key)


def _by_machine(mail: Mail) -> bool:
    submitted = mail.header("Auto-Submitted").lower()
    return (
        (submitted != "" and not submitted.startswith("no"))
        or mail.message.get_content_type() == "multipart/report"  # a read receipt
        or any(mail.message.get(name) is not None for name in _AUTO_HEADERS)
        or mail.header("Precedence").lower() in ("auto_reply", "auto-reply")
        or mail.header("Return-Path") == "<>"
    )


def _away(subject: str, answered: bool) -> bool:
    """Whether a subject says so by itself; behind "Re:" it is a campaign's own."""
    words = re.sub(r"[^\w]+", " ", fold(subject)).strip()
    return not answered and _AUTO_SUBJECTS.match(words) is not None


def _events(
    mail: Mail, received_at: datetime, reports: Sequence[Report], send_key: str
) -> ParsedEvents:
    at = mail.at(received_at)
    token = "" if send_key else mail.subject_token() or mail.quoted_token()
    # The same mail may come by two ways with other envelopes: its own words and names make the id.
    parts = (mail.header("Message-ID"), mail.address, mail.subject, " ".join(mail.text.split()))
    digest = hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()[:40]
    return ParsedEvents(
        tuple(
            Received(
                Event(
                    id=f"{digest}:{place}:{report.kind}",
                    source=INBOUND,
                    kind=report.kind,
                    at=at,
                    send_key=send_key,
                    reason=_clean(report.reason),
                ),
                _clean(report.address)[:320],
                place,
                token=token,
            )
            for place, report in enumerate(reports)
        ),
        (),
    )


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")
