"""Hands over the confirmation mails that people asked for, each at most once.

The intent is on disk before the first byte leaves. What a crash leaves behind is unknown: it is shown, and
never sent again; the person can ask again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from pigeonry.config import Home
from pigeonry.delivery.base import close, make_sender
from pigeonry.delivery.headers import UnsafeHeader
from pigeonry.delivery.opt_in import load_opt_in_links, opt_in_mail
from pigeonry.domain import HandOver, Language, Outcome, OutgoingMessage, Sender
from pigeonry.domain.address import address_hash
from pigeonry.errors import ConfigError
from pigeonry.service import holding
from pigeonry.service.subscriptions import OPT_IN_DAYS
from pigeonry.store import consent_texts, consents, holds, leads, opt_ins
from pigeonry.store.opt_ins import OptIn
from pigeonry.store.session import Database, Session

_STATES = {
    Outcome.ACCEPTED: "sent",
    Outcome.REFUSED: "failed",
    Outcome.RETRY: "queued",
    Outcome.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class OptInReport:
    """Of this run: sent, failed, unknown; `waiting` are still queued. `trouble` says why it stopped."""

    sent: int = 0
    failed: int = 0
    unknown: int = 0
    waiting: int = 0
    trouble: str = ""


def send_opt_in_mails(
    db: Database, home: Home, *, now: datetime, sender: Sender | None = None
) -> OptInReport:
    """Hand over every queued confirmation mail. Two at once share the work. Raises OnHold like every
    sender, and ConfigError when mails wait and `opt_in.from_email` is not set."""
    with db.read() as session:
        nothing = not opt_ins.queued(session, after_id=0, limit=1)
    if nothing and sender is None:
        with db.write() as session:
            lost = opt_ins.abandon(session, begun_before=now - timedelta(hours=1), at=now)
        return OptInReport(unknown=lost)
    if not home.settings.opt_in.from_email:
        raise ConfigError(
            "confirmation mails wait and have no sender",
            where="opt_in.from_email",
            fix="set opt_in.from_email and opt_in.from_name in pigeonry.toml",
        )
    holding.enter(db, home, now=now)
    used = sender or make_sender(home)
    try:
        return _send(db, home, used, now)
    finally:
        if sender is None:
            close(used)


def _send(db: Database, home: Home, sender: Sender, now: datetime) -> OptInReport:
    began = time.monotonic()
    found = {"sent": 0, "failed": 0, "unknown": 0, "queued": 0}
    trouble, after = "", 0
    with db.write() as session:
        dead = now - timedelta(seconds=2 * sender.max_seconds + 60)
        found["unknown"] += opt_ins.abandon(session, begun_before=dead, at=now)
    while not trouble:
        with db.read() as session:
            batch = opt_ins.queued(session, after_id=after)
        if not batch:
            break
        for request in batch:
            after = request.id
            at = now + timedelta(seconds=time.monotonic() - began)
            state, trouble = _one(db, home, sender, request, at)
            if state:
                found[state] += 1
            if trouble:
                break
    with db.read() as session:
        waiting = opt_ins.counts(session).get("queued", 0)
    return OptInReport(found["sent"], found["failed"], found["unknown"], waiting, trouble)


def _one(db: Database, home: Home, sender: Sender, request: OptIn, at: datetime) -> tuple[str, str]:
    """(state afterwards, "" when another sender has it; why the channel takes no more)."""
    with db.write() as session:
        if held := holds.current(session):
            return "", f"on hold: {held.reason}"
        mail, reason = _prepare(session, home, request, at)
        if mail is None:
            opt_ins.finish(session, request.id, state="failed", result={"reason": reason}, at=at)
            return "failed", ""
        if not opt_ins.begin(session, request.id, at=at):
            return "", ""
    result = HandOver(Outcome.UNKNOWN, reason="the sender stopped without an answer")
    try:
        result = sender.hand_over(mail)
    except UnsafeHeader as error:
        result = HandOver(Outcome.REFUSED, reason=error.what)
    finally:
        state = _STATES[result.outcome]
        attempts = request.attempts + (0 if result.channel_down else 1)
        if state == "queued" and attempts >= home.settings.sending.max_attempts:
            state = "failed"
        note = {
            "attempts": attempts,
            "outcome": result.outcome.value,
            "reason": result.reason,
            "provider_id": result.provider_id,
        }
        with db.write() as session:
            opt_ins.finish(session, request.id, state=state, result=note, at=at)
    return state, result.reason if result.channel_down else ""


def _prepare(
    session: Session, home: Home, request: OptIn, at: datetime
) -> tuple[OutgoingMessage | None, str]:
    """The mail, or why it may not leave. Who stopped mail since the request is not asked any more."""
    lead = next(iter(leads.by_ids(session, [request.lead_id])), None)
    if lead is None:
        return None, "the lead is no longer stored"
    if at - request.created_at > timedelta(days=OPT_IN_DAYS):
        return None, "waited too long: the link would no longer work"
    digest = address_hash(lead.email, home.secret("suppression.key"))
    consents.lock_addresses(session, [digest])
    stopped = consents.suppression(session, digest)
    if stopped is not None and (
        stopped.reason not in consents.LIFTED_BY_CONFIRMING or stopped.at > request.created_at
    ):
        return None, f"suppressed: {stopped.reason}"
    text = consent_texts.get(session, request.text_version)
    if text is None:
        return None, "the consent text is no longer stored"
    settings = home.settings.opt_in
    try:
        mail = opt_in_mail(
            to_email=lead.email,
            from_email=settings.from_email,
            from_name=settings.from_name,
            language=Language(request.language),
            consent_text=text.text,
            url=load_opt_in_links(home).url(request.id, request.send_key),
            send_key=request.send_key,
            days=OPT_IN_DAYS,
            at=at,
        )
    except UnsafeHeader as error:
        return None, error.what
    return mail, ""
