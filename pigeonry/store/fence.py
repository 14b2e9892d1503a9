"""The last gate before mails leave: one compare-and-set that sees everything that may forbid it.

Nothing leaves unless `fence` said GO and that transaction was committed (the design's section 6).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import bindparam, case, exists, func, or_, select, tuple_, update
from sqlalchemy.orm import aliased

from pigeonry.domain.message import MessageState
from pigeonry.store.handovers import Claim, defer, leave_claim
from pigeonry.store.leads import restrictive_first
from pigeonry.store.models import (
    Campaign,
    Consent,
    DeclinedTopic,
    Hold,
    Lead,
    Message,
    Preference,
    Suppression,
)
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
    CANCELLED = (
        "cancelled"  # suppressed, consent gone, topic declined, or the campaign was cancelled
    )
    LATER = "later"  # too many mails lately, or the lead asked for a pause: planned again for later
    PAUSED = "paused"  # the campaign is paused: still claimed, to be released
    HELD = "held"  # the whole installation is on hold: still claimed, to be released


@dataclass(frozen=True, slots=True)
class Gate:
    """What the fence holds a message to. At most `cap` mails to a lead in `cap_days`; 0: no cap."""

    max_seconds: float
    cap: int
    cap_days: int
    channel: str


def fence(
    session: Session, claims: Sequence[Claim], *, owner: str, now: datetime, gate: Gate
) -> list[Verdict]:
    """The last gate, in one compare-and-set for several claims; what it said to each. After GO and a
    commit a mail may leave, once. A sender that slept may bring a message twice, with two epochs: only the
    newer one can pass.

    Calling it again for the same claims after a commit of unknown fate answers GO again.
    """
    if not claims:
        return []
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        # Whoever withdraws consent or suppresses holds a lock on the lead's row until the commit
        # (`consents.lock_addresses`; a new consent row does so by its foreign key). SQLite has one writer.
        connection.execute(_LOCK_LEADS, {"of_leads": sorted({c.lead_id for c in claims})})
    passed = connection.execute(
        _FENCE_CAPPED if gate.cap else _FENCE,
        {
            "of_claims": [(claimed.id, claimed.epoch) for claimed in claims],
            "of_owner": owner,
            "at": now,
            "needed_until": now + timedelta(seconds=gate.max_seconds),
            "window": now - timedelta(days=gate.cap_days),
            "cap": gate.cap,
            "by_channel": gate.channel,
        },
    )
    go = {(message_id, epoch) for message_id, epoch in passed}
    return [
        Verdict.GO
        if (claimed.id, claimed.epoch) in go
        else _why_not(session, claimed, owner=owner, now=now, gate=gate)
        for claimed in claims
    ]


def _consent_state() -> Any:
    """The state that counts now: the newest row; of two at the same moment the withdrawal. A grant that
    has run out is "expired"."""
    over = (Consent.state == "granted") & (Consent.expires_at <= bindparam("at"))
    return (
        select(case((over, "expired"), else_=Consent.state))
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


def _wishes() -> Any:
    """Whether the lead's own choices forbid a mail now."""
    return exists().where(
        Preference.lead_id == _MESSAGE.c.lead_id,
        or_(
            Preference.paused_until > bindparam("at"),
            (Preference.weekly_cap > 0) & (_recent(bindparam("window")) >= Preference.weekly_cap),
        ),
    )


def _declined() -> Any:
    """Whether the lead wants no mail about the campaign's topic."""
    return exists().where(
        DeclinedTopic.lead_id == _MESSAGE.c.lead_id,
        DeclinedTopic.topic == Campaign.topic,
        Campaign.id == _MESSAGE.c.campaign_id,
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
            exists().where(Hold.lifted_at.is_(None)),
            exists().where(
                DeclinedTopic.lead_id == Message.lead_id, DeclinedTopic.topic == Campaign.topic
            ),
        )
        .join(Campaign, Campaign.id == Message.campaign_id)
        .where(Message.id == claimed.id)
    ).one_or_none()
    if row is None or row[1] != owner or row[2] != claimed.epoch:
        return Verdict.LOST
    state, _, _, lease_until, campaign, suppression, held, declined = row
    if state == MessageState.HANDING_OVER:
        return Verdict.GO
    if state != MessageState.CLAIMED:
        return Verdict.LOST
    if suppression is not None:
        return _cancel(session, claimed, owner, f"suppressed: {suppression}")
    consent = session.scalar(
        select(_consent_state()).select_from(_MESSAGE).where(_MESSAGE.c.id == claimed.id),
        {"at": now},
    )
    if consent != "granted":
        return _cancel(session, claimed, owner, f"consent {consent or 'missing'}")
    if campaign == "cancelled":
        return _cancel(session, claimed, owner, "the campaign was cancelled")
    if declined:
        return _cancel(session, claimed, owner, "the lead wants no mail about this topic")
    if held:
        return Verdict.HELD
    if campaign == "paused":
        return Verdict.PAUSED
    if lease_until is None or lease_until <= now + timedelta(seconds=gate.max_seconds):
        return Verdict.LEASE
    return _later(session, claimed, owner=owner, now=now, gate=gate)


def _later(session: Session, claimed: Claim, *, owner: str, now: datetime, gate: Gate) -> Verdict:
    wish = session.get(Preference, claimed.lead_id, populate_existing=True)
    if wish is not None and wish.paused_until is not None and wish.paused_until > now:
        defer(
            session, claimed, owner=owner, until=wish.paused_until, reason="the lead wants a pause"
        )
        return Verdict.LATER
    caps = [cap for cap in (gate.cap, wish.weekly_cap if wish else 0) if cap]
    lately = session.scalars(
        select(Message.handover_at)
        .where(
            Message.lead_id == claimed.lead_id,
            Message.id != claimed.id,
            Message.state.in_(_LEFT),
            Message.handover_at > now - timedelta(days=gate.cap_days),
        )
        .order_by(Message.handover_at)
    ).all()
    if not caps or len(lately) < min(caps):
        return Verdict.LOST
    # It may leave when so many have left the window that one more fits under the cap.
    freeing = lately[len(lately) - min(caps)]
    assert freeing is not None
    until = freeing + timedelta(days=gate.cap_days)
    defer(session, claimed, owner=owner, until=until, reason="frequency cap")
    return Verdict.LATER


def _cancel(session: Session, claimed: Claim, owner: str, reason: str) -> Verdict:
    leave_claim(session, claimed, owner, state=MessageState.CANCELLED.value, reason=reason)
    return Verdict.CANCELLED


def _statement(capped: bool) -> Any:
    """The compare-and-set, built once: building it costs more than running it."""
    return (
        update(_MESSAGE)
        .where(
            tuple_(_MESSAGE.c.id, _MESSAGE.c.epoch).in_(bindparam("of_claims", expanding=True)),
            _MESSAGE.c.state == MessageState.CLAIMED.value,
            _MESSAGE.c.owner == bindparam("of_owner"),
            _MESSAGE.c.lease_until > bindparam("needed_until"),
            exists().where(
                Campaign.id == _MESSAGE.c.campaign_id,
                *(Campaign.state != state for state in _STOPPED),
            ),
            ~exists().where(Suppression.address_hash == _MESSAGE.c.address_hash),
            _consent_state() == "granted",
            ~exists().where(Hold.lifted_at.is_(None)),
            ~_wishes(),
            ~_declined(),
            *((_recent(bindparam("window")) < bindparam("cap"),) if capped else ()),
        )
        .values(
            state=MessageState.HANDING_OVER.value,
            handover_at=bindparam("at"),
            channel=bindparam("by_channel"),
        )
        .returning(_MESSAGE.c.id, _MESSAGE.c.epoch)
    )


_FENCE, _FENCE_CAPPED = _statement(False), _statement(True)
_LOCK_LEADS = (
    select(Lead.id)
    .where(Lead.id.in_(bindparam("of_leads", expanding=True)))
    .order_by(Lead.id)
    .with_for_update()
)
