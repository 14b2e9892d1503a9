"""Everything that happened with one lead, in the order in which a person asks: may it be mailed and why, what
was it sent and why that, what came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, or_, select

from pigeonry.domain import ConsentState, Lead, SuppressionReason
from pigeonry.domain.event import EventKind
from pigeonry.domain.message import MessageState
from pigeonry.store import consents, leads, preferences
from pigeonry.store.consents import SuppressionRow
from pigeonry.store.models import (
    Assignment,
    Campaign,
    Consent,
    ConsentText,
    Event,
    ImportChange,
    ImportRun,
    Job,
    Message,
    Segment,
    SegmentMember,
    Variant,
)
from pigeonry.store.models import Lead as LeadRow
from pigeonry.store.opt_ins import KIND as OPT_IN
from pigeonry.store.preferences import Preferences
from pigeonry.store.session import Session

MOST = 200  # messages and events that are shown


@dataclass(frozen=True, slots=True)
class ConsentTold:
    """One thing that was agreed or taken back. `text` are the words that were shown, where they are known;
    `counts` marks the row that decides now."""

    state: ConsentState
    purpose: str
    basis: str
    source: str
    proof: str
    text_version: str
    text: str
    at: datetime
    expires_at: datetime | None
    counts: bool


@dataclass(frozen=True, slots=True)
class MailTold:
    """One message and why it is this one: the lot drew `arm` with `propensity`, and the arm is a prompt."""

    id: int
    campaign_id: int
    campaign: str
    variant_id: int
    subject: str
    arm: str
    prompt: str
    prompt_version: str
    tier: str
    propensity: float | None
    wave: int
    state: MessageState
    reason: str
    status: str
    planned_at: datetime
    left_at: datetime | None
    accepted_at: datetime | None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """A campaign that by lot sent this lead nothing."""

    campaign_id: int
    campaign: str
    propensity: float
    at: datetime


@dataclass(frozen=True, slots=True)
class EventTold:
    """`human` is the probability that a person did it, and `why` what spoke for that."""

    id: int
    kind: EventKind
    at: datetime
    message_id: int | None
    human: float
    why: str
    url: str
    reason: str


@dataclass(frozen=True, slots=True)
class BroughtBy:
    """An import that created the lead, or that changed these of its fields."""

    run_id: int
    file_name: str
    at: datetime
    created: bool
    changes: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Story:
    lead: Lead
    segment: str
    similarity: float | None
    suppression: SuppressionRow | None
    preferences: Preferences
    consents: tuple[ConsentTold, ...]
    requests: tuple[tuple[datetime, str], ...]
    imports: tuple[BroughtBy, ...]
    mails: tuple[MailTold, ...]
    held_out: tuple[HeldOut, ...]
    events: tuple[EventTold, ...]

    def mailable(self, now: datetime) -> bool:
        """Whether marketing mail may go out now; the fence asks again before each."""
        newest = next((one for one in self.consents if one.counts), None)
        granted = newest is not None and newest.state is ConsentState.GRANTED
        ended = newest is not None and newest.expires_at is not None and newest.expires_at <= now
        return granted and not ended and self.suppression is None

    @property
    def suppressed(self) -> SuppressionReason | None:
        return self.suppression.reason if self.suppression else None


def tell(session: Session, lead_id: int) -> Story:
    """Raises NotFound."""
    lead = leads.get(session, lead_id)
    row = session.get_one(LeadRow, lead_id)
    member = session.get(SegmentMember, lead_id)
    segment = session.get(Segment, lead.segment_id) if lead.segment_id else None
    mails = _mails(session, lead_id)
    return Story(
        lead=lead,
        segment=segment.name if segment else "",
        similarity=member.similarity if member else None,
        suppression=consents.suppression(session, row.address_hash),
        preferences=preferences.get(session, lead_id),
        consents=_consents(session, lead_id),
        requests=_requests(session, lead_id),
        imports=_imports(session, row),
        mails=mails,
        held_out=_held_out(session, lead_id),
        events=_events(session, [mail.id for mail in mails], row.address_hash),
    )


def _consents(session: Session, lead_id: int) -> tuple[ConsentTold, ...]:
    """Newest first; of each purpose the first counts."""
    rows = session.execute(
        select(Consent, ConsentText.text)
        .outerjoin(ConsentText, ConsentText.version == Consent.text_version)
        .where(Consent.lead_id == lead_id)
        .order_by(Consent.at.desc(), leads.restrictive_first(), Consent.id.desc())
    )
    told: list[ConsentTold] = []
    seen: set[str] = set()
    for row, text in rows:
        told.append(
            ConsentTold(
                ConsentState(row.state), row.purpose, row.basis, row.source, row.proof,
                row.text_version, text or "", row.at, row.expires_at, row.purpose not in seen,
            )
        )  # fmt: skip
        seen.add(row.purpose)
    return tuple(told)


def _requests(session: Session, lead_id: int) -> tuple[tuple[datetime, str], ...]:
    """When somebody typed the address into a form, and what became of the confirmation mail."""
    rows = session.execute(
        select(Job.created_at, Job.state)
        .where(Job.kind == OPT_IN, Job.payload["lead_id"].as_integer() == lead_id)
        .order_by(Job.id.desc())
        .limit(20)
    )
    return tuple((at, state) for at, state in rows)


def _imports(session: Session, lead: LeadRow) -> tuple[BroughtBy, ...]:
    rows = session.execute(
        select(ImportChange, ImportRun)
        .join(ImportRun, ImportRun.id == ImportChange.import_run_id)
        .where(ImportChange.lead_id == lead.id)
        .order_by(ImportChange.id.desc())
        .limit(20)
    )
    found = [
        BroughtBy(
            run.id, run.file_name, run.started_at, False,
            {name.removeprefix("+"): (str(was), str(now)) for name, (was, now) in change.changes.items()},
        )
        for change, run in rows
    ]  # fmt: skip
    first = session.get(ImportRun, lead.import_run_id) if lead.import_run_id else None
    if first is not None:
        found.append(BroughtBy(first.id, first.file_name, first.started_at, True, {}))
    return tuple(found)


def _mails(session: Session, lead_id: int) -> tuple[MailTold, ...]:
    rows = session.execute(
        select(Message, Campaign.name, Variant, Assignment.propensity)
        .join(Campaign, Campaign.id == Message.campaign_id)
        .join(Variant, Variant.id == Message.variant_id)
        .outerjoin(
            Assignment,
            (Assignment.campaign_id == Message.campaign_id)
            & (Assignment.lead_id == Message.lead_id),
        )
        .where(Message.lead_id == lead_id)
        .order_by(Message.id.desc())
        .limit(MOST)
    )
    return tuple(
        MailTold(
            message.id, message.campaign_id, name, variant.id, variant.subject, variant.arm,
            variant.prompt, variant.prompt_version, variant.tier, propensity, message.wave,
            MessageState(message.state), message.reason, message.status, message.planned_at,
            message.handover_at, message.accepted_at,
        )
        for message, name, variant, propensity in rows
    )  # fmt: skip


def _held_out(session: Session, lead_id: int) -> tuple[HeldOut, ...]:
    rows = session.execute(
        select(Assignment.campaign_id, Campaign.name, Assignment.propensity, Assignment.at)
        .join(Campaign, Campaign.id == Assignment.campaign_id)
        .where(Assignment.lead_id == lead_id, Assignment.wave == 0)
        .order_by(Assignment.campaign_id.desc())
    )
    return tuple(HeldOut(*row) for row in rows)


def _events(
    session: Session, message_ids: Sequence[int], address_hash: str
) -> tuple[EventTold, ...]:
    his: ColumnElement[bool] = Event.message_id.in_(message_ids)
    if address_hash:
        his = or_(his, Event.address_hash == address_hash)
    rows = session.scalars(
        select(Event).where(his).order_by(Event.at.desc(), Event.id.desc()).limit(MOST)
    )
    return tuple(
        EventTold(
            row.id, EventKind(row.kind), row.at, row.message_id, row.human, row.why, row.url,
            row.reason,
        )
        for row in rows
    )  # fmt: skip
