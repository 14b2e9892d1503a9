"""Sends a campaign's planned messages until nothing is left, and lets a person resolve the uncertain ones."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import datetime

from pigeonry.config import Home, Settings
from pigeonry.delivery import base
from pigeonry.delivery.links import load_links
from pigeonry.domain import Brief
from pigeonry.domain.clock import Clock
from pigeonry.domain.message import MessageState, Sender
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import ConfigError
from pigeonry.service import holding
from pigeonry.service.dispatch import FENCE_SECONDS, Dispatch
from pigeonry.service.journal import Journal
from pigeonry.service.owners import new_owner
from pigeonry.service.reconcile import reconcile
from pigeonry.store import campaigns, handovers, messages
from pigeonry.store.session import Database

# Hand-overs at once. A sender that is killed leaves at most as many messages unknown: those whose answer had
# not come. Files can be looked up, events resolve SendGrid's, SMTP has neither.
LANES = {"file": 8, "smtp": 4, "sendgrid": 8}


@dataclass(frozen=True, slots=True)
class SendReport:
    """Where the campaign (or that wave of it) stands. `waiting` may still be sent later: quiet hours,
    a temporary refusal, a pause, another sender. `handed_over` counts this call's own hand-overs."""

    sent: int
    failed: int
    cancelled: int
    unknown: int
    parked: int
    waiting: int
    seconds: float
    handed_over: int = 0


def send_campaign(
    db: Database,
    home: Home,
    campaign_id: int,
    *,
    wave: int | None = None,
    sender: Sender | None = None,
    now: Clock,
    progress: Progress = silent,
    stop: threading.Event | None = None,
    lanes: int | None = None,
    patience: float | None = None,
) -> SendReport:
    """Send until nothing is left to claim. Safe to run twice, and beside other senders.

    Waits at most `patience` seconds (default: a lease) for messages that come due or that a dead
    sender still holds; what waits longer is reported as waiting. A set `stop` ends it after the
    hand-overs under way. Raises ConfigError when the lease is shorter than the channel's longest
    hand-over, UnfitMail when a variant may not leave, OutsideFailure when the channel or the database is
    down; whatever was not handed over is planned again then.
    """
    began = time.monotonic()
    settings = home.settings.sending
    holding.enter(db, home, now=now())
    channel = sender or base.make_sender(home)
    try:
        require_lease(home.settings, channel)
        with db.read() as session:
            source = campaigns.brief_source(session, campaign_id)
        with new_owner() as owner:
            log = Journal(home, owner)
            run = Dispatch(
                db=db,
                home=home,
                campaign_id=campaign_id,
                wave=wave,
                sender=channel,
                owner=owner,
                journal=log,
                brief=_brief(source, campaign_id),
                links=load_links(home),
                clock=now,
                progress=progress,
                stop=stop or threading.Event(),
                lanes=lanes or settings.lanes or LANES.get(channel.name.partition(">")[0], 1),
                patience=settings.lease_seconds + 5 if patience is None else patience,
            )
            try:
                run.run()
            finally:
                log.close()
                with db.write() as session:
                    handovers.release(session, owner=owner)
        reconcile(db, home, channel, now=now(), parked_too=True)
        holding.beat(db, home, now=now())  # says why when everything is on hold
    finally:
        if sender is None:
            base.close(channel)
    with db.read() as session:
        counts = messages.counts(session, campaign_id, wave=wave)
    return SendReport(
        sent=counts[MessageState.ACCEPTED],
        failed=counts[MessageState.FAILED],
        cancelled=counts[MessageState.CANCELLED],
        unknown=counts[MessageState.UNKNOWN],
        parked=counts[MessageState.PARKED],
        waiting=counts[MessageState.PLANNED]
        + counts[MessageState.CLAIMED]
        + counts[MessageState.HANDING_OVER],
        seconds=time.monotonic() - began,
        handed_over=run.handed_over,
    )


def require_lease(settings: Settings, sender: Sender) -> None:
    """A lease has to outlive the longest hand-over; the quarantine the longest hand-over and the latest event
    of it. Raises ConfigError, with the arithmetic."""
    lease = settings.sending.lease_seconds
    if lease <= sender.max_seconds + FENCE_SECONDS:
        need = int(sender.max_seconds + FENCE_SECONDS) + 1
        raise ConfigError(
            f"a lease of {lease:g} s is too short: one hand-over by {sender.name} may take "
            f"{sender.max_seconds:g} s",
            where="sending.lease_seconds",
            fix=f"set it to at least {need}",
        )
    quarantine, delay = settings.sending.quarantine_seconds, settings.sending.event_delay_seconds
    if quarantine < sender.max_seconds + delay:
        raise ConfigError(
            f"a quarantine of {quarantine:g} s is too short: one hand-over by {sender.name} may take "
            f"{sender.max_seconds:g} s, and an event of it may come {delay:g} s later "
            "(sending.event_delay_seconds)",
            where="sending.quarantine_seconds",
            fix=f"set it to at least {int(sender.max_seconds + delay) + 1}",
        )


def _brief(source: str, campaign_id: int) -> Brief:
    from generation.brief import parse_brief

    return parse_brief(source, where=f"campaign {campaign_id}")


def parked(
    db: Database, home: Home, *, campaign_id: int | None = None, now: datetime
) -> list[messages.UncertainMessage]:
    """Parked and unknown messages, after everything that evidence can settle has been settled."""
    channel = base.make_sender(home)
    try:
        reconcile(db, home, channel, now=now, parked_too=True)
    finally:
        base.close(channel)
    with db.read() as session:
        return messages.uncertain(session, campaign_id=campaign_id)


def resolve(db: Database, message_id: int, sent: bool, *, now: datetime) -> None:
    """A person says whether a parked or unknown message was sent; "not sent" plans it again."""
    with db.write() as session:
        messages.resolve(session, message_id, sent=sent, at=now)
