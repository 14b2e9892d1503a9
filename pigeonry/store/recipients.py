"""Queries about whom an event speaks of: a message, else a lead. Nothing is locked here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import select, tuple_

from pigeonry.domain import MessageState
from pigeonry.store.bulk import among
from pigeonry.store.models import Lead, Message
from pigeonry.store.session import Session

_MANY = 500


class MessageOf(NamedTuple):
    message_id: int
    lead_id: int
    address_hash: str


class LeadOf(NamedTuple):
    lead_id: int
    address_hash: str


def by_send_key(session: Session, keys: Iterable[str]) -> dict[str, MessageOf]:
    return _messages(session, Message.send_key, keys)


def by_provider_id(session: Session, ids: Iterable[str]) -> dict[str, MessageOf]:
    return _messages(session, Message.provider_id, ids)


def by_campaign(
    session: Session, pairs: Iterable[tuple[int, int]]
) -> dict[tuple[int, int], MessageOf]:
    """(lead, campaign) -> the lead's latest message in it."""
    found: dict[tuple[int, int], MessageOf] = {}
    wanted = sorted(set(pairs))
    for start in range(0, len(wanted), _MANY):
        rows = session.execute(
            select(Message.lead_id, Message.campaign_id, Message.id, Message.address_hash)
            .where(tuple_(Message.lead_id, Message.campaign_id).in_(wanted[start : start + _MANY]))
            .order_by(Message.id)
        )
        for lead_id, campaign_id, message_id, digest in rows:
            found[lead_id, campaign_id] = MessageOf(message_id, lead_id, digest)
    return found


def leads_by_id(session: Session, ids: Iterable[int]) -> dict[int, LeadOf]:
    wanted = sorted(set(ids))
    found: dict[int, LeadOf] = {}
    for start in range(0, len(wanted), _MANY):
        query = select(Lead.id, Lead.address_hash).where(Lead.id.in_(wanted[start : start + _MANY]))
        found |= {lead_id: LeadOf(lead_id, digest) for lead_id, digest in session.execute(query)}
    return found


def leads_by_hash(session: Session, hashes: Iterable[str]) -> dict[str, LeadOf]:
    return _leads(session, Lead.address_hash, hashes)


def leads_by_external_id(session: Session, ids: Iterable[str]) -> dict[str, LeadOf]:
    """Leads by the id that another system gave them; an id that two leads share names neither."""
    return _leads(session, Lead.external_id, ids)


def accepted_messages(
    session: Session, lead_ids: Iterable[int], *, since: datetime, until: datetime
) -> Mapping[int, list[tuple[datetime, MessageOf]]]:
    """By lead, oldest first: when each of its messages in that time was accepted."""
    wanted = sorted(set(lead_ids))
    found: dict[int, list[tuple[datetime, MessageOf]]] = {}
    for start in range(0, len(wanted), _MANY):
        rows = session.execute(
            select(Message.lead_id, Message.accepted_at, Message.id, Message.address_hash)
            .where(
                Message.lead_id.in_(wanted[start : start + _MANY]),
                Message.state == MessageState.ACCEPTED.value,
                Message.accepted_at >= since,
                Message.accepted_at <= until,
            )
            .order_by(Message.accepted_at, Message.id)
        )
        for lead_id, at, message_id, digest in rows:
            assert at is not None
            found.setdefault(lead_id, []).append((at, MessageOf(message_id, lead_id, digest)))
    return found


def _messages(session: Session, column: Any, values: Iterable[str]) -> dict[str, MessageOf]:
    wanted = {value for value in values if value}
    if not wanted:
        return {}
    rows = session.execute(
        select(column, Message.id, Message.lead_id, Message.address_hash)
        .where(among(session, column, sorted(wanted)))
        .order_by(Message.id)
    )
    return {value: MessageOf(*rest) for value, *rest in rows}


def _leads(session: Session, column: Any, values: Iterable[str]) -> dict[str, LeadOf]:
    wanted: Sequence[str] = sorted({value for value in values if value})
    if not wanted:
        return {}
    found: dict[str, LeadOf] = {}
    shared = set()
    rows = session.execute(
        select(column, Lead.id, Lead.address_hash).where(among(session, column, wanted))
    )
    for value, lead_id, digest in rows:
        if value in found:
            shared.add(value)
        found[value] = LeadOf(lead_id, digest)
    return {value: lead for value, lead in found.items() if value not in shared}
