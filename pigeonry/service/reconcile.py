"""Takes back what dead senders held and settles unknown messages by evidence, never by sending again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from pigeonry.config import Home
from pigeonry.delivery.base import parts
from pigeonry.domain.failpoint import failpoint
from pigeonry.domain.message import HandOver, MessageState, Sender
from pigeonry.service import journal
from pigeonry.service.owners import is_dead
from pigeonry.store import reaping
from pigeonry.store.session import Database

_PAGE = 500
# Channels whose provider reports every mail that it took. Silence about one of them is evidence when its
# nearest neighbours in time were all reported: so many on each side, and at least so many in all.
_REPORTING = frozenset({"sendgrid"})
_NEIGHBOURS = 10
_LEAST_NEIGHBOURS = 5
_SPAN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """`returned` claims went back to planned; unknown messages became accepted, planned or parked."""

    returned: int = 0
    unknown: int = 0
    accepted: int = 0
    planned: int = 0
    parked: int = 0


def reconcile(
    db: Database, home: Home, sender: Sender, *, now: datetime, parked_too: bool = False
) -> Reconciled:
    """Reap, then settle what can be settled. Safe to run at any time, by anybody.

    An unknown message is accepted when an event or the channel itself shows it, planned again when the
    channel shows that it was certainly not accepted, and parked for a person when the quarantine is
    over and nobody can know. `parked_too` looks again at what was parked before the provider's events came.
    """
    quarantine = home.settings.sending.quarantine_seconds
    with db.read() as session:
        held = reaping.owners(session)
    dead = [owner for owner in held if is_dead(owner)]
    reaped = reaping.Reaped(0, 0)
    if held:
        reaped = _reap(db, home, dead, now)
    counts = {MessageState.ACCEPTED: 0, MessageState.PLANNED: 0, MessageState.PARKED: 0}
    after = 0
    while True:
        with db.read() as session:
            page = reaping.unsettled(
                session, after_id=after, limit=_PAGE, parked=_REPORTING if parked_too else ()
            )
        if not page:
            break
        after = page[-1].id
        found = [
            (message, *verdict)
            for message in page
            if (verdict := _verdict(db, message, sender, now, quarantine)) is not None
        ]
        if found:
            with db.write() as session:
                for message, state, reason in found:
                    counts[state] += reaping.settle(
                        session, message, state=state, reason=reason, now=now
                    )
                failpoint("settle.before_commit")
            failpoint("settle.after_commit")
    return Reconciled(
        returned=reaped.returned,
        unknown=reaped.unknown,
        accepted=counts[MessageState.ACCEPTED],
        planned=counts[MessageState.PLANNED],
        parked=counts[MessageState.PARKED],
    )


def _reap(db: Database, home: Home, dead: list[str], now: datetime) -> reaping.Reaped:
    journals = {owner: journal.read(home, owner) for owner in dead}

    def testimony(owner: str, send_key: str, epoch: int) -> HandOver | None:
        found = journals[owner]
        return None if found is None else found.of(send_key, epoch)

    with db.write() as session:
        reaped = reaping.reap(
            session,
            now=now,
            quarantine_seconds=home.settings.sending.quarantine_seconds,
            dead=dead,
            testimony=testimony,
        )
        failpoint("reap.before_commit")
    failpoint("reap.after_commit")
    return reaped


def _verdict(
    db: Database, message: reaping.Unsettled, sender: Sender, now: datetime, quarantine: float
) -> tuple[MessageState, str] | None:
    if message.proven:
        return MessageState.ACCEPTED, "an event of the provider shows that it was accepted"
    # Only the channel that it left by can know.
    asked = next((part for part in parts(sender) if part.name == message.channel), None)
    known = asked.evidence(message.send_key) if asked else None
    if known is True:
        return MessageState.ACCEPTED, f"found by looking at what {message.channel} has"
    if known is False:
        return MessageState.PLANNED, f"{message.channel} certainly has not got it"
    left = message.handover_at or now
    if left + timedelta(seconds=quarantine) > now:
        return None
    if message.channel in _REPORTING and _pipe_was_whole(db, message.channel, left):
        return (
            MessageState.PLANNED,
            "not accepted: the provider reported on the mails around it, and not on this one",
        )
    if message.parked:
        return None
    return MessageState.PARKED, "nobody can know whether it was accepted: a person has to say"


def _pipe_was_whole(db: Database, channel: str, at: datetime) -> bool:
    """Whether the provider's events of that moment arrived, so that a missing one means something. A mail
    after which nothing left proves nothing: the pipe may have broken with it."""
    with db.read() as session:
        before, after = reaping.neighbours(session, channel, at, _SPAN, _NEIGHBOURS)
    return bool(after) and len(before) + len(after) >= _LEAST_NEIGHBOURS and all(before + after)
