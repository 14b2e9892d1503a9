"""What is older than its time, kind by kind. Suppression, consent and the states of messages have none."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, Text, and_, cast, delete, func, or_, select, update
from sqlalchemy.orm import aliased

from pigeonry.domain import MessageState
from pigeonry.store.models import (
    CompletionCache,
    Consent,
    CrmRefusal,
    CrmSeen,
    Event,
    Job,
    Lead,
    LlmCall,
    Message,
    RawEvent,
)
from pigeonry.store.opt_ins import KIND as OPT_IN
from pigeonry.store.session import Session

# Their events are the evidence of whether they left.
_UNPROVEN = [
    state.value for state in (MessageState.HANDING_OVER, MessageState.UNKNOWN, MessageState.PARKED)
]


class Kind(StrEnum):
    """What has a time, in the order in which it is looked at."""

    EVENTS = "events"
    RAW_BODIES = "raw bodies"
    PROPOSALS = "proposals of models"
    ANSWERS = "cached answers of models"
    REQUESTS = "requests to be written to"
    CRM_SEEN = "ids of what CRMs told"
    CRM_REFUSED = "what CRMs told and was not taken"


@dataclass(frozen=True, slots=True)
class _Rule:
    due: Callable[[datetime], Select[Any]]
    take: Callable[[Session, Sequence[Any]], None]


def count(session: Session, kind: Kind, before: datetime) -> int:
    """How many there are of before then."""
    due = _RULES[kind].due(before).order_by(None).subquery()
    return session.scalar(select(func.count()).select_from(due)) or 0


def take(session: Session, kind: Kind, before: datetime, *, limit: int) -> int:
    """Take the next `limit` of them away; returns how many there were."""
    rule = _RULES[kind]
    keys = list(session.scalars(rule.due(before).limit(limit)))
    if keys:
        rule.take(session, keys)
    return len(keys)


def never_confirmed(session: Session, before: datetime, *, limit: int) -> list[str]:
    """Addresses of leads that exist only because somebody typed them into a form before then: they never
    confirmed, and nothing else is known of them."""
    other = aliased(Job)
    requested = Job.payload["lead_id"].as_integer()
    rows = session.scalars(
        select(Lead.email)
        .join(
            Job, and_(requested == Lead.id, Job.kind == OPT_IN, Job.created_at == Lead.created_at)
        )
        .where(
            Lead.created_at < before,
            Lead.first_name == "",
            Lead.external_id == "",
            cast(Lead.attributes, Text) == "{}",
            ~select(Consent.id).where(Consent.lead_id == Lead.id).exists(),
            ~select(Message.id).where(Message.lead_id == Lead.id).exists(),
            ~select(other.id)
            .where(
                other.kind == OPT_IN,
                other.payload["lead_id"].as_integer() == Lead.id,
                other.created_at >= before,
            )
            .exists(),
        )
        .order_by(Lead.id)
        .limit(limit)
    )
    return list(rows)


def unproven_keys(session: Session) -> set[str]:
    """Send keys of messages of which nobody knows whether they left: their files are the evidence."""
    return set(session.scalars(select(Message.send_key).where(Message.state.in_(_UNPROVEN))))


def _events(before: datetime) -> Select[Any]:
    return (
        select(Event.id)
        .outerjoin(Message, Message.id == Event.message_id)
        .where(Event.at < before, or_(Message.id.is_(None), Message.state.not_in(_UNPROVEN)))
        .order_by(Event.id)
    )


def _raw_bodies(before: datetime) -> Select[Any]:
    """Understood ones; the row and its hash stay, so that the same body is recognised."""
    return (
        select(RawEvent.id)
        .where(
            RawEvent.received_at < before, RawEvent.drained_at.is_not(None), RawEvent.body != b""
        )
        .order_by(RawEvent.id)
    )


def _empty_bodies(session: Session, keys: Sequence[int]) -> None:
    session.execute(
        update(RawEvent).where(RawEvent.id.in_(keys)).values(body=b"", headers={}, error="")
    )


def _crm_seen(before: datetime) -> Select[Any]:
    return select(CrmSeen.event_hash).where(CrmSeen.at < before).order_by(CrmSeen.at)


def _crm_refused(before: datetime) -> Select[Any]:
    return select(CrmRefusal.id).where(CrmRefusal.at < before).order_by(CrmRefusal.id)


def _proposals(before: datetime) -> Select[Any]:
    """The row stays for the costs."""
    said = or_(LlmCall.proposal != "", LlmCall.reason != "")
    return select(LlmCall.id).where(LlmCall.at < before, said).order_by(LlmCall.id)


def _empty_proposals(session: Session, keys: Sequence[int]) -> None:
    session.execute(update(LlmCall).where(LlmCall.id.in_(keys)).values(proposal="", reason=""))


def _answers(before: datetime) -> Select[Any]:
    """None that somebody holds a lease on."""
    free = or_(CompletionCache.lease_until.is_(None), CompletionCache.lease_until < before)
    return (
        select(CompletionCache.key)
        .where(CompletionCache.created_at < before, free)
        .order_by(CompletionCache.key)
    )


def _requests(before: datetime) -> Select[Any]:
    """Whoever confirmed has the proof in the consent."""
    return (
        select(Job.id)
        .where(Job.kind == OPT_IN, Job.created_at < before, Job.state.not_in(("handing_over",)))
        .order_by(Job.id)
    )


def _delete(table: Any, column: Any) -> Callable[[Session, Sequence[Any]], None]:
    def take(session: Session, keys: Sequence[Any]) -> None:
        session.execute(delete(table).where(column.in_(keys)))

    return take


_RULES: Mapping[Kind, _Rule] = {
    Kind.EVENTS: _Rule(_events, _delete(Event, Event.id)),
    Kind.RAW_BODIES: _Rule(_raw_bodies, _empty_bodies),
    Kind.PROPOSALS: _Rule(_proposals, _empty_proposals),
    Kind.ANSWERS: _Rule(_answers, _delete(CompletionCache, CompletionCache.key)),
    Kind.REQUESTS: _Rule(_requests, _delete(Job, Job.id)),
    Kind.CRM_SEEN: _Rule(_crm_seen, _delete(CrmSeen, CrmSeen.event_hash)),
    Kind.CRM_REFUSED: _Rule(_crm_refused, _delete(CrmRefusal, CrmRefusal.id)),
}
