"""Taking back what a dead or silent sender held, and settling what nobody reported."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, func, insert, literal, or_, select, update

from pigeonry.domain.message import HandOver, MessageState, Outcome
from pigeonry.store.handovers import return_claims
from pigeonry.store.models import Event, Message, MessageAttempt
from pigeonry.store.session import Session

_MESSAGE: Any = Message.__table__
_ATTEMPT: Any = MessageAttempt.__table__


@dataclass(frozen=True, slots=True)
class Unsettled:
    """An unknown message, and whether an event of the provider already proves that it was accepted."""

    id: int
    send_key: str
    channel: str
    handover_at: datetime | None
    proven: bool
    parked: bool = False


@dataclass(frozen=True, slots=True)
class Reaped:
    returned: int  # claims that went back to planned, and hand-overs that certainly never began
    unknown: int  # hand-overs whose outcome nobody will report
    told: int = 0  # hand-overs whose outcome their dead sender had written down


# What the journal of a dead owner says about one hand-over: owner, send key, epoch.
Testimony = Callable[[str, str, int], HandOver | None]
_STATES = {
    Outcome.ACCEPTED: MessageState.ACCEPTED,
    Outcome.REFUSED: MessageState.FAILED,
    Outcome.RETRY: MessageState.PLANNED,
    Outcome.UNKNOWN: MessageState.UNKNOWN,
}
_SILENCE = HandOver(Outcome.UNKNOWN, reason="its sender ended between hand-over and answer")


def owners(session: Session) -> list[str]:
    """Who holds claims or hand-overs now."""
    held = (MessageState.CLAIMED.value, MessageState.HANDING_OVER.value)
    return list(session.scalars(select(Message.owner).where(Message.state.in_(held)).distinct()))


def reap(
    session: Session,
    *,
    now: datetime,
    quarantine_seconds: float,
    dead: Collection[str],
    testimony: Testimony,
) -> Reaped:
    """Take back what nobody will finish.

    Claims whose lease is over, or whose owner is dead, are planned again. Hand-overs of a dead owner
    become what its journal says. The others become unknown when lease and quarantine are over: until
    then a paused process could still send.
    """
    gone = _MESSAGE.c.owner.in_(sorted(dead)) if dead else literal(False)
    returned = return_claims(session, or_(gone, _MESSAGE.c.lease_until <= now))
    over = now - timedelta(seconds=quarantine_seconds)
    lost = (
        session.execute(
            select(Message.id, Message.owner, Message.send_key, Message.epoch, Message.handover_at)
            .where(
                Message.state == MessageState.HANDING_OVER.value,
                or_(gone, Message.lease_until <= over),
            )
            .order_by(Message.id)
            .with_for_update(skip_locked=True)
        )
        .tuples()
        .all()
    )
    counts = dict.fromkeys(Outcome, 0)
    for message_id, owner, send_key, epoch, handover_at in lost:
        told = testimony(owner, send_key, epoch) if owner in dead else None
        result = told or _SILENCE
        _take_back(session, message_id, owner, epoch, handover_at, result, now)
        counts[result.outcome] += 1
    return Reaped(
        returned=returned + counts[Outcome.RETRY],
        unknown=counts[Outcome.UNKNOWN],
        told=counts[Outcome.ACCEPTED] + counts[Outcome.REFUSED],
    )


def _take_back(
    session: Session,
    message_id: int,
    owner: str,
    epoch: int,
    handover_at: datetime | None,
    result: HandOver,
    now: datetime,
) -> None:
    state = _STATES[result.outcome]
    values: dict[str, Any] = {"state": state.value, "reason": result.reason}
    if state is MessageState.ACCEPTED:
        values |= {
            "accepted_at": handover_at or now,
            "provider_id": result.provider_id,
            "lease_until": None,
        }
    elif state is not MessageState.UNKNOWN:
        values |= {"owner": "", "lease_until": None}
    if result.channel:
        values["channel"] = result.channel
    session.execute(
        update(_MESSAGE)
        .where(
            _MESSAGE.c.id == message_id,
            _MESSAGE.c.state == MessageState.HANDING_OVER.value,
            _MESSAGE.c.owner == owner,
            _MESSAGE.c.epoch == epoch,
        )
        .values(**values)
    )
    session.execute(
        insert(_ATTEMPT).values(
            message_id=message_id,
            owner=owner,
            outcome=result.outcome.value,
            reason=result.reason,
            provider_id=result.provider_id,
            started_at=handover_at or now,
            finished_at=None,
        )
    )


def unsettled(
    session: Session, *, after_id: int = 0, limit: int = 500, parked: Collection[str] = ()
) -> list[Unsettled]:
    """Unknown messages by id, and the parked ones of those channels; pass the last id to get the page after
    it."""
    rows = session.execute(
        select(
            Message.id,
            Message.send_key,
            Message.channel,
            Message.handover_at,
            or_(Message.status != "", exists().where(Event.message_id == Message.id)),
            Message.state == MessageState.PARKED.value,
        )
        .where(
            or_(
                Message.state == MessageState.UNKNOWN.value,
                and_(
                    Message.state == MessageState.PARKED.value, Message.channel.in_(sorted(parked))
                ),
            ),
            Message.id > after_id,
        )
        .order_by(Message.id)
        .limit(limit)
    )
    return [Unsettled(*row) for row in rows]


def neighbours(
    session: Session, channel: str, at: datetime, span: timedelta, number: int
) -> tuple[list[bool], list[bool]]:
    """Whether the provider reported on the `number` accepted messages of a channel that left nearest before
    that moment, and on those that left nearest from it on; at most `span` away."""
    accepted = select(Message.status != "").where(
        Message.channel == channel, Message.state == MessageState.ACCEPTED.value
    )
    before = accepted.where(Message.handover_at < at, Message.handover_at >= at - span)
    after = accepted.where(Message.handover_at >= at, Message.handover_at <= at + span)
    return (
        list(session.scalars(before.order_by(Message.handover_at.desc()).limit(number))),
        list(session.scalars(after.order_by(Message.handover_at).limit(number))),
    )


def settle(
    session: Session, message: Unsettled, *, state: MessageState, reason: str, now: datetime
) -> bool:
    """An unknown or parked message becomes accepted, planned (it certainly was not accepted) or parked."""
    values: dict[str, Any] = {"state": state.value, "reason": reason, "lease_until": None}
    if state is MessageState.ACCEPTED:
        values["accepted_at"] = message.handover_at or now
    if state is MessageState.PLANNED:
        values["owner"] = ""
    changed = session.execute(
        update(_MESSAGE)
        .where(
            _MESSAGE.c.id == message.id,
            _MESSAGE.c.state.in_((MessageState.UNKNOWN.value, MessageState.PARKED.value)),
            _MESSAGE.c.send_key == message.send_key,
        )
        .values(**values)
    )
    return bool(changed.rowcount == 1)  # type: ignore[attr-defined]


def next_due(
    session: Session, campaign_id: int, *, now: datetime, wave: int | None = None
) -> datetime | None:
    """When a message of the campaign may be claimed next: a planned one that waits, or the end of
    somebody's lease. None: nothing will come by waiting."""
    query = select(
        func.min(Message.not_before).filter(Message.state == MessageState.PLANNED.value),
        func.min(Message.lease_until).filter(
            or_(
                Message.state == MessageState.CLAIMED.value,
                and_(Message.state == MessageState.HANDING_OVER.value, Message.lease_until > now),
            )
        ),
        func.count().filter(
            Message.state == MessageState.PLANNED.value, Message.not_before.is_(None)
        ),
    ).where(Message.campaign_id == campaign_id)
    if wave is not None:
        query = query.where(Message.wave == wave)
    waiting, leased, ready = session.execute(query).one()
    if ready:
        return now
    moments = [moment for moment in (waiting, leased) if moment is not None]
    return min(moments) if moments else None
