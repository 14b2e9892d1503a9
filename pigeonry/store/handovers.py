"""Whose a message is on its way out: claimed under a lease, given back, and what a hand-over proved.

Each function is one step inside the caller's transaction. The last gate is `store.fence`; taking back what
a dead sender held is `store.reaping`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, func, insert, or_, select, update

from pigeonry.domain.message import HandOver, MessageState
from pigeonry.store.leads import restrictive_first
from pigeonry.store.models import (
    Consent,
    Lead,
    Message,
    MessageAttempt,
)
from pigeonry.store.session import Session

_MESSAGE: Any = Message.__table__
_ATTEMPT: Any = MessageAttempt.__table__
_UNPROVEN = (
    MessageState.HANDING_OVER.value,
    MessageState.UNKNOWN.value,
    MessageState.PARKED.value,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A message that is ours until `lease_until`, with what rendering it needs of its lead."""

    id: int
    lead_id: int
    variant_id: int
    send_key: str
    epoch: int
    attempts: int
    email: str
    first_name: str
    last_name: str
    country: str
    timezone: str
    basis: str  # of the consent that counts now; "" without one
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """A hand-over that came back: what it proved, and what follows for the message.

    `state` is ACCEPTED, FAILED, UNKNOWN or PLANNED (again, not before `not_before`).
    """

    claim: Claim
    result: HandOver
    state: MessageState
    reason: str
    not_before: datetime | None
    started_at: datetime
    finished_at: datetime
    begun: bool = True  # False: given back before the channel saw it, which is no attempt


# Built once: building a statement costs more than running it.
_INSERT_ATTEMPT = insert(_ATTEMPT)
_RECORD = (
    update(_MESSAGE)
    .where(
        _MESSAGE.c.id == bindparam("of_id"),
        _MESSAGE.c.epoch == bindparam("of_epoch"),
        _MESSAGE.c.owner == bindparam("of_owner"),
        or_(*(_MESSAGE.c.state == state for state in _UNPROVEN)),  # executemany takes no IN list
    )
    .values(
        state=bindparam("to_state"),
        reason=bindparam("to_reason"),
        attempts=bindparam("to_attempts"),
        not_before=bindparam("to_not_before"),
        accepted_at=bindparam("to_accepted_at"),
        provider_id=bindparam("to_provider_id"),
        channel=func.coalesce(func.nullif(bindparam("to_channel"), ""), _MESSAGE.c.channel),
        lease_until=None,
    )
)
_ADD_PROVIDER_ID = (
    update(_MESSAGE)
    .where(
        _MESSAGE.c.id == bindparam("of_id"),
        _MESSAGE.c.epoch == bindparam("of_epoch"),
        _MESSAGE.c.state == MessageState.ACCEPTED.value,
        _MESSAGE.c.provider_id == "",
    )
    .values(provider_id=bindparam("to_provider_id"))
)


def claim(
    session: Session,
    *,
    campaign_id: int,
    owner: str,
    now: datetime,
    lease_seconds: float,
    limit: int,
    wave: int | None = None,
) -> list[Claim]:
    """Take up to `limit` planned messages that are due. Two owners never get the same one."""
    due = select(Message.id).where(
        Message.campaign_id == campaign_id,
        Message.state == MessageState.PLANNED.value,
        or_(Message.not_before.is_(None), Message.not_before <= now),
    )
    if wave is not None:
        due = due.where(Message.wave == wave)
    due = due.order_by(Message.id).limit(limit).with_for_update(skip_locked=True)
    ids = list(session.scalars(due))
    if not ids:
        return []
    until = now + timedelta(seconds=lease_seconds)
    session.execute(
        update(_MESSAGE)
        .where(_MESSAGE.c.id.in_(ids))
        .values(
            state=MessageState.CLAIMED.value,
            owner=owner,
            epoch=_MESSAGE.c.epoch + 1,
            lease_until=until,
        )
    )
    basis = (
        select(Consent.basis)
        .where(Consent.lead_id == Lead.id, Consent.purpose == "marketing")
        .order_by(Consent.at.desc(), restrictive_first(), Consent.id.desc())
        .limit(1)
        .correlate(Lead)
        .scalar_subquery()
    )
    rows = session.execute(
        select(
            Message.id,
            Message.lead_id,
            Message.variant_id,
            Message.send_key,
            Message.epoch,
            Message.attempts,
            Lead.email,
            Lead.first_name,
            Lead.last_name,
            Lead.country,
            Lead.timezone,
            func.coalesce(basis, "").label("basis"),
        )
        .join(Lead, Lead.id == Message.lead_id)
        .where(Message.id.in_(ids))
        .order_by(Message.id)
    )
    return [Claim(**row, lease_until=until) for row in rows.mappings()]


def record(session: Session, results: Sequence[Recorded], *, owner: str) -> int:
    """Write down what hand-overs proved, with an attempt each. Returns how many still were the owner's.

    A definite result also counts when the reaper had already called the message unknown, as long as
    nobody has claimed it again (same epoch). A try that failed because the whole channel was down is not
    counted as one.
    """
    if not results:
        return 0
    connection = session.connection()
    attempts = [
        {
            "message_id": item.claim.id,
            "owner": owner,
            "outcome": item.result.outcome.value,
            "reason": item.result.reason,
            "provider_id": item.result.provider_id,
            "started_at": item.started_at,
            "finished_at": item.finished_at,
        }
        for item in results
        if item.begun
    ]
    if attempts:
        connection.execute(_INSERT_ATTEMPT, attempts)
    rows = [
        {
            "of_id": item.claim.id,
            "of_epoch": item.claim.epoch,
            "of_owner": owner,
            "to_state": item.state.value,
            "to_reason": item.reason,
            "to_attempts": item.claim.attempts + (0 if item.result.channel_down else 1),
            "to_not_before": item.not_before,
            "to_accepted_at": item.finished_at if item.state is MessageState.ACCEPTED else None,
            "to_provider_id": item.result.provider_id,
            "to_channel": item.result.channel,
        }
        for item in results
    ]
    changed = connection.execute(_RECORD, rows, execution_options={"preserve_rowcount": True})
    if changed.rowcount != len(rows):
        # An event came before our own answer did: only the provider's id is still missing.
        connection.execute(_ADD_PROVIDER_ID, rows)
    return int(changed.rowcount)


def poisonous(
    session: Session, message_ids: Sequence[int], *, channels: Sequence[str], tries: int
) -> set[int]:
    """Those of these messages that were refused `tries` times before, while their channel took other mails
    since the first of those: the trouble is theirs, not the channel's."""
    refused = session.execute(
        select(MessageAttempt.message_id, func.min(MessageAttempt.started_at))
        .where(MessageAttempt.message_id.in_(message_ids), MessageAttempt.outcome == "retry")
        .group_by(MessageAttempt.message_id)
        .having(func.count() >= tries)
    )
    last = select(func.max(Message.accepted_at)).where(
        Message.channel.in_(channels), Message.state == MessageState.ACCEPTED.value
    )
    found = [(message_id, first) for message_id, first in refused]
    taken = session.scalar(last) if found else None
    return {message_id for message_id, first in found if taken is not None and taken >= first}


def defer(
    session: Session, claimed: Claim, *, owner: str, until: datetime | None, reason: str
) -> bool:
    """A claim that may not leave yet goes back to planned. Nothing was handed over."""
    return leave_claim(
        session, claimed, owner, state=MessageState.PLANNED.value, not_before=until, reason=reason
    )


def refuse(session: Session, claimed: Claim, *, owner: str, reason: str) -> bool:
    """A claim that can never leave (its address cannot stand in a mail) fails without a hand-over."""
    return leave_claim(session, claimed, owner, state=MessageState.FAILED.value, reason=reason)


def renew(session: Session, *, owner: str, until: datetime) -> None:
    """A longer lease for every claim that is still the owner's."""
    session.execute(
        update(_MESSAGE)
        .where(_MESSAGE.c.owner == owner, _MESSAGE.c.state == MessageState.CLAIMED.value)
        .values(lease_until=until)
    )


def release(session: Session, *, owner: str) -> int:
    """Give back every claim of an owner that was not handed over."""
    return return_claims(session, _MESSAGE.c.owner == owner)


def mine(claimed: Claim, owner: str, state: MessageState) -> Any:
    return and_(
        _MESSAGE.c.id == claimed.id,
        _MESSAGE.c.state == state.value,
        _MESSAGE.c.owner == owner,
        _MESSAGE.c.epoch == claimed.epoch,
    )


def leave_claim(session: Session, claimed: Claim, owner: str, **values: Any) -> bool:
    changed = session.execute(
        update(_MESSAGE)
        .where(mine(claimed, owner, MessageState.CLAIMED))
        .values(owner="", lease_until=None, **values)
    )
    return bool(changed.rowcount == 1)  # type: ignore[attr-defined]


def return_claims(session: Session, which: Any) -> int:
    changed = session.execute(
        update(_MESSAGE)
        .where(_MESSAGE.c.state == MessageState.CLAIMED.value, which)
        .values(state=MessageState.PLANNED.value, owner="", lease_until=None)
    )
    return int(changed.rowcount)  # type: ignore[attr-defined]
