"""Planned messages: storing the plan, counting states, and what a person decides about parked ones.

Claiming, fencing and recording a hand-over live in `store.handovers`.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pigeonry.domain import Copy, Language
from pigeonry.domain.message import HandOver, MessageState, Outcome, PlannedMessage
from pigeonry.errors import NotFound, Refused
from pigeonry.store.models import Campaign, Lead, Message, MessageAttempt, Variant
from pigeonry.store.session import Session

_OPEN = (MessageState.PLANNED.value, MessageState.CLAIMED.value)
_UNIQUE = ("lead_id", "campaign_id", "step", "occurrence")


@dataclass(frozen=True, slots=True)
class UncertainMessage:
    """A message that may or may not have been accepted; a person has to say which."""

    id: int
    campaign_id: int
    campaign: str
    lead_id: int
    email: str
    channel: str
    state: MessageState
    reason: str
    send_key: str
    handover_at: datetime | None


@dataclass(frozen=True, slots=True)
class VariantText:
    """What a mail is rendered from."""

    copy: Copy
    language: Language
    arm: str


def plan(session: Session, rows: Sequence[PlannedMessage], at: datetime) -> int:
    """Store planned messages, each with a fresh 128-bit `send_key`; return how many were new.

    A second plan of the same (lead, campaign, step, occurrence) changes nothing.
    """
    if not rows:
        return 0
    dialect = session.get_bind().dialect.name
    build = postgresql.insert if dialect == "postgresql" else sqlite.insert
    statement = build(Message).on_conflict_do_nothing(index_elements=_UNIQUE)
    result = session.connection().execute(
        statement,
        [
            {
                "campaign_id": row.campaign_id,
                "lead_id": row.lead_id,
                "variant_id": row.variant_id,
                "step": row.step,
                "occurrence": row.occurrence,
                "wave": row.wave,
                "send_key": secrets.token_hex(16),
                "address_hash": row.address_hash,
                "channel": row.channel,
                "state": MessageState.PLANNED.value,
                "reason": "",
                "attempts": 0,
                "owner": "",
                "epoch": 0,
                "provider_id": "",
                "status": "",
                "planned_at": at,
            }
            for row in rows
        ],
        execution_options={"preserve_rowcount": True},
    )
    return result.rowcount


def cancel_planned(session: Session, campaign_id: int, *, reason: str) -> int:
    """Cancel what has not been handed over; return how many. A sender that holds a claim on one finds
    it gone at the fence."""
    result = session.connection().execute(
        update(Message)
        .where(
            Message.campaign_id == campaign_id,
            Message.state.in_([MessageState.PLANNED.value, MessageState.CLAIMED.value]),
        )
        .values(state=MessageState.CANCELLED.value, reason=reason, owner="", lease_until=None)
    )
    return result.rowcount


def waiting(session: Session) -> int:
    """Messages of all campaigns that may still be sent."""
    return (
        session.scalar(select(func.count()).select_from(Message).where(Message.state.in_(_OPEN)))
        or 0
    )


def cancel_waiting(session: Session, *, reason: str) -> int:
    """Cancel what has not been handed over, in every campaign; returns how many."""
    result = session.connection().execute(
        update(Message)
        .where(Message.state.in_(_OPEN))
        .values(state=MessageState.CANCELLED.value, reason=reason, owner="", lease_until=None)
    )
    return result.rowcount


def mark_handed_over(
    session: Session, ends: Mapping[str, HandOver | None], *, at: datetime, reason: str
) -> int:
    """Messages that are planned here and were handed over in truth, by send key: accepted, or unknown where
    nobody knows how it ended. Returns how many."""
    changed = 0
    for key, end in ends.items():
        accepted = end is not None and end.outcome is Outcome.ACCEPTED
        state = MessageState.ACCEPTED if accepted else MessageState.UNKNOWN
        changed += (
            session.connection()
            .execute(
                update(Message)
                .where(Message.send_key == key, Message.state.in_(_OPEN))
                .values(
                    state=state.value,
                    reason=reason,
                    handover_at=at,
                    accepted_at=at if accepted else None,
                    provider_id=end.provider_id if end else "",
                    owner="",
                    lease_until=None,
                )
            )
            .rowcount
        )
    return changed


def counts(
    session: Session, campaign_id: int, *, wave: int | None = None
) -> dict[MessageState, int]:
    """How many messages of a campaign (of one wave of it) are in each state; absent states are 0."""
    query = (
        select(Message.state, func.count())
        .where(Message.campaign_id == campaign_id)
        .group_by(Message.state)
    )
    if wave is not None:
        query = query.where(Message.wave == wave)
    found = {MessageState(state): number for state, number in session.execute(query)}
    return {state: found.get(state, 0) for state in MessageState}


def accepted(session: Session, campaign_ids: Collection[int] | None = None) -> dict[int, int]:
    """How many mails of each campaign (of these) left; those of which none did are left out."""
    query = (
        select(Message.campaign_id, func.count())
        .where(Message.state == MessageState.ACCEPTED.value)
        .group_by(Message.campaign_id)
    )
    if campaign_ids is not None:
        query = query.where(Message.campaign_id.in_(sorted(campaign_ids)))
    return dict(session.execute(query).tuples().all())


def states(session: Session, campaign_id: int) -> dict[str, str]:
    """send key -> state of every message of a campaign. For proofs: it holds them all in memory."""
    rows = session.execute(
        select(Message.send_key, Message.state).where(Message.campaign_id == campaign_id)
    )
    return dict(rows.tuples().all())


def keys_by_email(session: Session, campaign_id: int) -> dict[str, tuple[str, int]]:
    """Address -> (send key, lead id) of every message of a campaign. For proofs."""
    rows = session.execute(
        select(Lead.email, Message.send_key, Lead.id)
        .join(Message, Message.lead_id == Lead.id)
        .where(Message.campaign_id == campaign_id)
    )
    return {email: (key, lead_id) for email, key, lead_id in rows}


def variant_ids(session: Session, campaign_id: int) -> list[int]:
    return list(session.scalars(select(Variant.id).where(Variant.campaign_id == campaign_id)))


def texts(session: Session, variant_ids: Collection[int]) -> dict[int, VariantText]:
    """The words of these variants."""
    rows = session.scalars(select(Variant).where(Variant.id.in_(sorted(variant_ids))))
    return {
        row.id: VariantText(
            Copy(row.subject, row.preheader, row.hook, tuple(row.body), row.cta),
            Language(row.language),
            row.arm,
        )
        for row in rows
    }


def uncertain(
    session: Session, *, campaign_id: int | None = None, limit: int = 1000
) -> list[UncertainMessage]:
    """Parked and unknown messages, oldest first."""
    query = (
        select(Message, Campaign.name, Lead.email)
        .join(Campaign, Campaign.id == Message.campaign_id)
        .join(Lead, Lead.id == Message.lead_id)
        .where(Message.state.in_((MessageState.PARKED.value, MessageState.UNKNOWN.value)))
        .order_by(Message.id)
        .limit(limit)
    )
    if campaign_id is not None:
        query = query.where(Message.campaign_id == campaign_id)
    return [
        UncertainMessage(
            id=row.id,
            campaign_id=row.campaign_id,
            campaign=name,
            lead_id=row.lead_id,
            email=email,
            channel=row.channel,
            state=MessageState(row.state),
            reason=row.reason,
            send_key=row.send_key,
            handover_at=row.handover_at,
        )
        for row, name, email in session.execute(query)
    ]


def resolve(session: Session, message_id: int, *, sent: bool, at: datetime) -> None:
    """A person's word on a parked or unknown message: it was sent, or it may be sent again.

    Raises NotFound, or Refused for a message whose outcome is known.
    """
    row = session.get(Message, message_id, with_for_update=True)
    where = f"message {message_id}"
    if row is None:
        raise NotFound(
            "no such message", where=where, fix="`pigeonry messages parked` lists their numbers"
        )
    if row.state not in (MessageState.PARKED, MessageState.UNKNOWN):
        raise Refused(
            f"its outcome is known: {row.state}",
            where=where,
            fix="only parked and unknown messages can be resolved by a person",
        )
    values = (
        {"state": MessageState.ACCEPTED.value, "accepted_at": row.handover_at or at}
        if sent
        else {"state": MessageState.PLANNED.value, "not_before": None}
    )
    word = "sent" if sent else "not sent"
    session.execute(
        update(Message)
        .where(Message.id == message_id)
        .values(**values, owner="", lease_until=None, reason=f"a person said: {word}")
    )
    session.execute(
        insert(MessageAttempt).values(
            message_id=message_id,
            owner="operator",
            outcome="accepted" if sent else "retry",
            reason=f"resolved by a person: {word}",
            provider_id="",
            started_at=at,
            finished_at=at,
        )
    )
