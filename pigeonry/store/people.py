"""Where a person may stand in the database, and everything that is stored about one, to hand it over.

A new table has to be entered in `PLACES`; a test walks the schema.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import DeclarativeBase

from pigeonry.domain.traces import Traces
from pigeonry.store import bodies
from pigeonry.store.models import (
    Assignment,
    Campaign,
    Consent,
    ConsentText,
    CrmContact,
    CrmRefusal,
    DeclinedTopic,
    Event,
    ImportChange,
    Job,
    Lead,
    LeadVector,
    Message,
    MessageAttempt,
    Preference,
    RawEvent,
    SegmentMember,
    Suppression,
    Variant,
)
from pigeonry.store.session import Session

# table -> what of a person stands there. "" means: nothing, by what the table is for.
PLACES = {
    "lead": "name, address, company, phone, language, place, time zone, columns of imports",
    "consent": "what was agreed or taken back, its source and proof",
    "preference": "pauses, mails a week",
    "declined_topic": "topics that a lead wants no mail about",
    "crm_contact": "numbers of a lead in CRMs, and how new what they said is",
    "crm_refusal": "what CRMs said of a lead and was not taken",
    "crm_seen": "",  # keyed hashes of what CRMs said, and when
    "suppression": "a keyed hash of the address, and why it is never written to",
    "lead_vector": "a profile as numbers, computed from columns without names or addresses",
    "segment_member": "the segment that a lead belongs to",
    "assignment": "the lots drawn in campaigns",
    "message": "mails planned and sent, with their state",
    "message_attempt": "each hand-over of a mail, and what the channel said",
    "event": "deliveries, opens, clicks, replies, conversions, stops; with address of the computer",
    "raw_event": "reports of providers and mails that came in, as they came",
    "job": "requests to be written to, with the network they came from; erasures by lead number and keyed hashes",
    "import_run": "names of imported files",
    "upload": "names of uploaded files; the file itself until it is imported or too old",
    "import_change": "what an import changed of a lead, before and after",
    "llm_call": "proposals of models; requests hold no person, and are searched all the same",
    "completion_cache": "answers of models; as above",
    "check_result": "what was wrong with proposals; as above",
    "consent_text": "",
    "segment": "",
    "brief_version": "",
    "prompt_version": "",
    "campaign": "",
    "experiment": "",
    "variant": "",
    "mail_link": "",
    "send_count": "",
    "summary": "",
    "brief_draft": "",
    "campaign_act": "",
    "posterior": "",
    "engagement_model": "",
    "instance": "",
    "hold": "",
    "operator": "",  # people who run this, not people who are written to
    "sign_in": "",
    "setup_link": "",
    "throttle": "",
    "api_token": "",
    "api_answer": "",
    "notice_address": "",
    "notice": "",  # a lead by number alone, as in the trail
    "audit": "",
}


def dossier(session: Session, email: str, address_hash: str) -> dict[str, Any]:
    """All rows about a canonical address by table; `lead` is None when there is none."""
    lead = session.scalar(select(Lead).where(Lead.email == email))
    stopped = session.get(Suppression, address_hash)
    ids = (
        list(session.scalars(select(Message.id).where(Message.lead_id == lead.id))) if lead else []
    )
    events = list(session.scalars(select(Event).where(_his(ids, address_hash)).order_by(Event.at)))
    found: dict[str, Any] = {
        "lead": _plain(lead) if lead else None,
        "suppression": _plain(stopped) if stopped else None,
        "event": [_plain(row) for row in events],
        "raw_event": [
            {"id": row.id, "source": row.source, "received_at": row.received_at.isoformat()}
            | {"about": said}
            for row in raw_of(session, [event.raw_event_id for event in events])
            if (said := bodies.about(row.source, row.body, Traces((email,)).within))
        ],
    }
    if lead is None:
        return found
    return found | {
        "consent": _consents(session, lead.id),
        "preference": _rows(session, select(Preference).where(Preference.lead_id == lead.id)),
        "declined_topic": _rows(
            session, select(DeclinedTopic).where(DeclinedTopic.lead_id == lead.id)
        ),
        "segment_member": _rows(
            session, select(SegmentMember).where(SegmentMember.lead_id == lead.id)
        ),
        "crm_contact": _rows(session, select(CrmContact).where(CrmContact.lead_id == lead.id)),
        "crm_refusal": _rows(session, select(CrmRefusal).where(CrmRefusal.lead_id == lead.id)),
        "lead_vector": [
            {"embedder": row.embedder, "vector": _floats(row.vector)}
            for row in session.scalars(
                select(LeadVector).where(LeadVector.content_hash == lead.content_hash)
            )
        ],
        "import_change": _rows(
            session, select(ImportChange).where(ImportChange.lead_id == lead.id)
        ),
        "assignment": _rows(session, select(Assignment).where(Assignment.lead_id == lead.id)),
        "message": _messages(session, lead.id),
        "message_attempt": _rows(
            session, select(MessageAttempt).where(MessageAttempt.message_id.in_(ids))
        ),
        "job": _rows(session, select(Job).where(jobs_of(lead.id))),
    }


def jobs_of(lead_id: int) -> ColumnElement[bool]:
    """Requests to be written to, and the note that the lead was erased."""
    found: ColumnElement[bool] = Job.payload["lead_id"].as_integer() == lead_id
    return found


def raw_of(session: Session, ids: list[int | None]) -> Iterator[RawEvent]:
    """Bodies by id, one after the other: they may be large."""
    for raw_id in sorted({raw_id for raw_id in ids if raw_id is not None}):
        row = session.get(RawEvent, raw_id)
        if row is not None:
            yield row


def _his(message_ids: list[int], address_hash: str) -> ColumnElement[bool]:
    return or_(Event.message_id.in_(message_ids), Event.address_hash == address_hash)


def _consents(session: Session, lead_id: int) -> list[dict[str, Any]]:
    """With the words that were agreed to, where they are known."""
    rows = session.scalars(
        select(Consent).where(Consent.lead_id == lead_id).order_by(Consent.at, Consent.id)
    )
    texts = {row.version: row.text for row in session.scalars(select(ConsentText))}
    return [_plain(row) | {"text": texts.get(row.text_version, "")} for row in rows]


def _messages(session: Session, lead_id: int) -> list[dict[str, Any]]:
    rows = session.execute(
        select(Message, Variant.subject, Campaign.name)
        .join(Variant, Variant.id == Message.variant_id)
        .join(Campaign, Campaign.id == Message.campaign_id)
        .where(Message.lead_id == lead_id)
        .order_by(Message.id)
    )
    return [
        _plain(message) | {"subject": subject, "campaign": name} for message, subject, name in rows
    ]


def _floats(vector: bytes) -> list[float]:
    return [round(number, 6) for number in struct.unpack(f"<{len(vector) // 4}f", vector)]


def _rows(session: Session, query: Any) -> list[dict[str, Any]]:
    return [_plain(row) for row in session.scalars(query)]


def _plain(row: DeclarativeBase) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for column in row.__table__.columns:
        value = getattr(row, column.key)
        found[column.key] = value.isoformat() if isinstance(value, datetime) else value
    return found
