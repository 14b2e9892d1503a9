"""The last gate before a mail leaves: one compare-and-set that sees everything that may forbid it.

Nothing leaves unless `fence` said GO and that transaction was committed (the design's section 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, exists, func, select, update
from sqlalchemy.orm import aliased

from pigeonry.domain.message import MessageState
from pigeonry.store.handovers import Claim, defer, leave_claim
from pigeonry.store.leads import restrictive_first
from pigeonry.store.models import Campaign, Consent, Lead, Message, Suppression
from pigeonry.store.session import Session

_MESSAGE: Any = Message.__table__
_STOPPED = ("paused", "cancelled")
# States in which a mail left or may have left: they count against the frequency cap.
_LEFT = (
    MessageState.HANDING_OVER.value,
    MessageState.ACCEPTED.value,
    MessageState.UNKNOWN.value,
    MessageState.PARKED.value,
)


class Verdict(StrEnum):
    """What the fence said. Only GO lets a byte leave; the others have done what follows from them."""

    GO = "go"
    LOST = "lost"  # somebody else's by now: do nothing
    LEASE = "lease"  # still ours, but too short for a hand-over: renew first
    CANCELLED = "cancelled"  # suppressed, consent gone, or the campaign was cancelled
    CAPPED = "capped"  # too many mails lately: planned again for later
    PAUSED = "paused"  # the campaign is paused: still claimed, to be released


@dataclass(frozen=True, slots=True)
class Gate:
    """What the fence holds a message to. `cap` mails since `window_start` at most; 0: no cap."""

    max_seconds: float
    cap: int
    cap_days: int
    channel: str


def fence(session: Session, claimed: Claim, *, owner: str, now: datetime, gate: Gate) -> Verdict:
    """The last gate, in one compare-and-set. After GO and a commit the mail may leave, once.

    Calling it again for the same claim after a commit of unknown fate answers GO again.
    """
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        # Whoever withdraws consent or suppresses holds a lock on the lead's row until the commit
        # (`consents.lock_addresses`; a new consent row does so by its foreign key). SQLite has one writer.
        connection.execute(_LOCK_LEAD, {"of_lead": claimed.lead_id})
    passed = connection.execute(
        _FENCE_CAPPED if gate.cap else _FENCE,
        {
            "of_id": claimed.id,
            "of_owner": owner,
            "of_epoch": claimed.epoch,
            "at": now,
            "needed_until": now + timedelta(seconds=gate.max_seconds),
            "window": now - timedelta(days=gate.cap_days),
            "cap": gate.cap,
            "by_channel": gate.channel,
        },
    )
    if passed.rowcount == 1:
        return Verdict.GO
    return _why_not(session, claimed, owner=owner, now=now, gate=gate)


def _consent_state() -> Any:
    """The state that counts now: the newest row; of two at the same moment the withdrawal."""
    return (
        select(Consent.state)
        .where(Consent.lead_id == _MESSAGE.c.lead_id, Consent.purpose == "marketing")
        .order_by(Consent.at.desc(), restrictive_first(), Consent.id.desc())
        .limit(1)
        .correlate(_MESSAGE)
        .scalar_subquery()
    )


def _recent(window: Any) -> Any:
    """How many other mails left, or may have left, to the same lead since `window`."""
    other = aliased(Message)
    return (
        select(func.count())
        .select_from(other)
        .where(
            other.lead_id == _MESSAGE.c.lead_id,
            other.id != _MESSAGE.c.id,
            other.state.in_(_LEFT),
            other.handover_at > window,
        )
        .correlate(_MESSAGE)
        .scalar_subquery()
    )


def _why_not(session: Session, claimed: Claim, *, owner: str, now: datetime, gate: Gate) -> Verdict:
    """Find the gate that stayed shut, strictest first, and do what follows from it."""
    row = session.execute(
        select(
            Message.state,
            Message.owner,
            Message.epoch,
            Message.lease_until,
            Campaign.state,
            select(Suppression.reason)
            .where(Suppression.address_hash == Message.address_hash)
            .correlate(Message)
            .scalar_subquery(),
        )
        .join(Campaign, Campaign.id == Message.campaign_id)
        .where(Message.id == claimed.id)
    ).one_or_none()
    if row is None or row[1] != owner or row[2] != claimed.epoch:
        return Verdict.LOST
    state, _, _, lease_until, campaign, suppression = row
    if state == MessageState.HANDING_OVER:
        return Verdict.GO
    if state != MessageState.CLAIMED:
        return Verdict.LOST
    if suppression is not None:
        return _cancel(session, claimed, owner, f"suppressed: {suppression}")
    consent = session.scalar(
        select(_consent_state()).select_from(_MESSAGE).where(_MESSAGE.c.id == claimed.id)
    )
    if consent != "granted":
        return _cancel(session, claimed, owner, f"consent {consent or 'missing'}")
    if campaign == "cancelled":
        return _cancel(session, claimed, owner, "the campaign was cancelled")
    if campaign == "paused":
        return Verdict.PAUSED
    if lease_until is None or lease_until <= now + timedelta(seconds=gate.max_seconds):
        return Verdict.LEASE
    if gate.cap:
        oldest = session.scalar(
            select(func.min(Message.handover_at)).where(
                Message.lead_id == claimed.lead_id,
                Message.id != claimed.id,
                Message.state.in_(_LEFT),
                Message.handover_at > now - timedelta(days=gate.cap_days),
            )
        )
        if oldest is not None:
            until = oldest + timedelta(days=gate.cap_days)
            defer(session, claimed, owner=owner, until=until, reason="frequency cap")
            return Verdict.CAPPED
    return Verdict.LOST


def _cancel(session: Session, claimed: Claim, owner: str, reason: str) -> Verdict:
    leave_claim(session, claimed, owner, state=MessageState.CANCELLED.value, reason=reason)
    return Verdict.CANCELLED


def _statement(capped: bool) -> Any:
    """The compare-and-set, built once: building it costs more than running it."""
    return (
        update(_MESSAGE)
        .where(
            _MESSAGE.c.id == bindparam("of_id"),
            _MESSAGE.c.state == MessageState.CLAIMED.value,
            _MESSAGE.c.owner == bindparam("of_owner"),
            _MESSAGE.c.epoch == bindparam("of_epoch"),
            _MESSAGE.c.lease_until > bindparam("needed_until"),
            exists().where(
                Campaign.id == _MESSAGE.c.campaign_id,
                *(Campaign.state != state for state in _STOPPED),
            ),
            ~exists().where(Suppression.address_hash == _MESSAGE.c.address_hash),
            _consent_state() == "granted",
            *((_recent(bindparam("window")) < bindparam("cap"),) if capped else ()),
        )
        .values(
            state=MessageState.HANDING_OVER.value,
            handover_at=bindparam("at"),
            channel=bindparam("by_channel"),
        )
    )


_FENCE, _FENCE_CAPPED = _statement(False), _statement(True)
_LOCK_LEAD = select(Lead.id).where(Lead.id == bindparam("of_lead")).with_for_update()
