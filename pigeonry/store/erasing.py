"""Takes one person out of every table. What stays is a keyed hash, which the caller stores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Text, cast, delete, or_, select, text
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute

from pigeonry.domain import SuppressionReason
from pigeonry.domain.traces import Traces, telling
from pigeonry.store import bodies, crm
from pigeonry.store.leads import ERASURE
from pigeonry.store.models import (
    Assignment,
    CheckResult,
    CompletionCache,
    Consent,
    Event,
    ImportChange,
    ImportRun,
    Job,
    Lead,
    LeadVector,
    LlmCall,
    Message,
    MessageAttempt,
    Preference,
    RawEvent,
    SegmentMember,
    Suppression,
    Upload,
)
from pigeonry.store.people import jobs_of
from pigeonry.store.session import Database, Session

_MANY = 500
_CHECKPOINTS = 20
_TEXTS = (Lead.first_name, Lead.last_name, Lead.company, Lead.phone, Lead.city, Lead.external_id)
# Where nobody should stand; whoever does is struck out all the same.
_SEARCHED: tuple[tuple[type[DeclarativeBase], tuple[InstrumentedAttribute[Any], ...]], ...] = (
    (LlmCall, (LlmCall.proposal, LlmCall.reason)),
    (CheckResult, (CheckResult.detail,)),
    (ImportRun, (ImportRun.file_name,)),
    (Upload, (Upload.file_name, Upload.choices)),
    (ImportChange, (ImportChange.changes,)),
    (Job, (Job.payload, Job.result)),
)
_TOUCHED = (
    Lead, Consent, Preference, SegmentMember, Assignment, Message, MessageAttempt, Event, RawEvent,
    LeadVector, LlmCall, CheckResult, CompletionCache, ImportRun, ImportChange, Upload, Job,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom to erase. `mails` are (campaign, send key) of every mail that was planned or asked for."""

    lead_id: int | None
    email: str
    address_hash: str
    traces: Traces
    mails: tuple[tuple[int, str], ...] = ()
    external_id: str = ""

    @property
    def marks(self) -> Traces:
        """The traces and the keys of the mails, which tell of the person to whoever has both."""
        return Traces(self.traces.values, frozenset(key for _, key in self.mails))


@dataclass(slots=True)
class Gone:
    """How many rows went, by table; `struck` had something of the person in them and stay without it."""

    rows: dict[str, int] = field(default_factory=dict)
    struck: dict[str, int] = field(default_factory=dict)


def subject(session: Session, email: str, address_hash: str) -> Subject:
    """The person as stored. Values that another lead has too are not looked for elsewhere."""
    lead = session.scalar(select(Lead).where(Lead.email == email))
    if lead is None:
        return Subject(None, email, address_hash, Traces((email,)))
    whole = f"{lead.first_name} {lead.last_name}".strip()
    own = [getattr(lead, column.key) for column in _TEXTS]
    own += [value for value in lead.attributes.values() if isinstance(value, str)]
    own += [contact.external_id for contact in crm.of_lead(session, lead.id)]
    values = [value for value in telling([*own, whole]) if not _shared(session, lead.id, value)]
    mails = session.execute(
        select(Message.campaign_id, Message.send_key).where(Message.lead_id == lead.id)
    )
    asked = session.scalars(select(Job).where(jobs_of(lead.id)))
    return Subject(
        lead.id,
        email,
        address_hash,
        Traces((email, *values)),
        (
            *((campaign_id, key) for campaign_id, key in mails),
            *((0, job.payload["send_key"]) for job in asked if "send_key" in job.payload),
        ),
        lead.external_id,
    )


def raw_with(session: Session, person: Subject) -> list[int]:
    """Bodies in which the person stands: those of its events, and whichever else hold a trace: a
    provider sends an event several times, and a mail that came in may belong to nobody."""
    marks = person.marks
    found = set(
        session.scalars(
            select(Event.raw_event_id)
            .where(_events_of(person), Event.raw_event_id.is_not(None))
            .distinct()
        )
    )
    rows = session.execute(
        select(RawEvent.id, RawEvent.body, cast(RawEvent.headers, Text)).execution_options(
            yield_per=100
        )
    )
    for raw_id, body, headers in rows:
        if raw_id not in found and (marks.within_bytes(body) or marks.within(headers)):
            found.add(raw_id)
    return sorted(raw_id for raw_id in found if raw_id is not None)


class Notes(NamedTuple):
    """What is known of erased people: the numbers that their leads had, and marks, which are keyed hashes of
    what named them and their mails."""

    leads: frozenset[int]
    marks: frozenset[str]


def notes(session: Session) -> Notes:
    found = list(session.scalars(select(Job.payload).where(Job.kind == ERASURE)))
    return Notes(
        frozenset(note["lead_id"] for note in found),
        frozenset(mark for note in found for mark in note.get("marks", ())),
    )


def erase(
    session: Session,
    person: Subject,
    raw_ids: Sequence[int],
    *,
    at: datetime,
    marks: Sequence[str] = (),
) -> Gone:
    """Delete the person's rows and strike what is left of it out of others. Hold its address
    (`consents.lock_addresses`) first. Does nothing twice. `marks` stay with the note of the erasure."""
    gone = Gone()
    _count(gone.struck, "raw_event", _strike_raw(session, person, raw_ids))
    _count(gone.rows, "event", _deleted(session, Event, _events_of(person)))
    if person.lead_id is not None:
        _erase_lead(session, person.lead_id, gone, at, marks)
    for table, columns in _SEARCHED:
        _count(gone.struck, table.__tablename__, _strike(session, table, columns, person.traces))
    # An answer that names somebody is not worth keeping: it would be asked for again.
    _count(gone.rows, "completion_cache", _forget_answers(session, person.traces))
    return gone


def late_bodies(session: Session) -> list[int]:
    """Bodies with an event that came after its person was erased, while something was still under way."""
    query = (
        select(Event.raw_event_id)
        .join(Suppression, Suppression.address_hash == Event.address_hash)
        .join(RawEvent, RawEvent.id == Event.raw_event_id)
        .where(
            Suppression.reason == SuppressionReason.ERASURE.value,
            RawEvent.drained_at.is_not(None),
            RawEvent.body != b"",
        )
        .distinct()
        .order_by(Event.raw_event_id)
    )
    return [raw_id for raw_id in session.scalars(query) if raw_id is not None]


def delete_late(session: Session, raw_id: int) -> None:
    """Delete the events of such a body that name erased people."""
    erased = select(Suppression.address_hash).where(
        Suppression.reason == SuppressionReason.ERASURE.value
    )
    _deleted(session, Event, (Event.raw_event_id == raw_id) & Event.address_hash.in_(erased))


def clean_late(database: Database) -> None:
    """The same for what was struck out of bodies that came after an erasure, without holding up those who
    write; what is being read just now stays until the next time."""
    if database.dialect == "sqlite":
        with database.engine.connect() as connection:
            cursor = connection.connection.cursor()
            patience = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
            cursor.execute("PRAGMA busy_timeout=200")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            cursor.execute(f"PRAGMA busy_timeout={patience}")
            cursor.close()
        return
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("VACUUM raw_event"))


def clean_pages(database: Database, email: str) -> str:
    """Bytes that the database still holds outside of its rows. Returns what could not be done, or "".

    SQLite: the log is folded in and emptied (freed pages were overwritten by `secure_delete`); a file in
    which the address is found all the same is rewritten. Postgres: the touched tables are vacuumed.
    """
    if database.dialect == "sqlite":
        return _clean_sqlite(database, email)
    engine = database.engine.execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for table in _TOUCHED:
            connection.execute(text(f"VACUUM {table.__tablename__}"))
    return ""


def _clean_sqlite(database: Database, email: str) -> str:
    file = database.engine.url.database
    with database.engine.connect() as connection:
        cursor = connection.connection.cursor()
        busy = 1
        for attempt in range(_CHECKPOINTS):
            busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            if not busy:
                break
            time.sleep(0.05 * attempt)
        if not busy and file and _in_file(file, email):
            cursor.execute("VACUUM")
            busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        cursor.close()
    if busy:
        return "a program is reading the database, so its log could not be emptied: run the same command again"
    return ""


def _in_file(path: str, value: str) -> bool:
    needle, size = value.encode(), 1 << 24
    with open(path, "rb") as file:  # noqa: PTH123 - SQLAlchemy gives the name as text
        tail = b""
        while part := file.read(size):
            if needle in tail + part:
                return True
            tail = part[-len(needle) :]
    return False


def _erase_lead(
    session: Session, lead_id: int, gone: Gone, at: datetime, marks: Sequence[str]
) -> None:
    messages = select(Message.id).where(Message.lead_id == lead_id).scalar_subquery()
    content = session.scalar(select(Lead.content_hash).where(Lead.id == lead_id))
    _count(gone.struck, "crm_contact", crm.forget_lead(session, lead_id))
    for table, condition in (
        (MessageAttempt, MessageAttempt.message_id.in_(messages)),
        (Message, Message.lead_id == lead_id),
        (Assignment, Assignment.lead_id == lead_id),
        (Consent, Consent.lead_id == lead_id),
        (Preference, Preference.lead_id == lead_id),
        (SegmentMember, SegmentMember.lead_id == lead_id),
        (ImportChange, ImportChange.lead_id == lead_id),
        (Job, jobs_of(lead_id) & (Job.kind != ERASURE)),
        (Lead, Lead.id == lead_id),
    ):
        _count(gone.rows, table.__tablename__, _deleted(session, table, condition))
    if content is not None:
        shared = select(Lead.id).where(Lead.content_hash == content).limit(1)
        if session.scalar(shared) is None:
            orphaned = _deleted(session, LeadVector, LeadVector.content_hash == content)
            _count(gone.rows, "lead_vector", orphaned)
    if "lead" in gone.rows:
        session.add(
            Job(
                kind=ERASURE, state="done", payload={"lead_id": lead_id, "marks": [*marks]},
                result=dict(gone.rows), created_at=at, started_at=at, finished_at=at,
            )
        )  # fmt: skip
        session.flush()


def _events_of(person: Subject) -> Any:
    named = Event.address_hash == person.address_hash
    if person.lead_id is None:
        return named
    messages = select(Message.id).where(Message.lead_id == person.lead_id).scalar_subquery()
    return or_(Event.message_id.in_(messages), named)


def _strike_raw(session: Session, person: Subject, raw_ids: Sequence[int]) -> int:
    """The body's hash stays, so that the same report is still recognised when it comes again."""
    marks, struck = person.marks, 0
    for start in range(0, len(raw_ids), _MANY):
        rows = session.scalars(
            select(RawEvent).where(RawEvent.id.in_(raw_ids[start : start + _MANY]))
        )
        for row in rows:
            body = bodies.without(row.source, row.body, marks.within)
            headers, error = marks.struck(row.headers), marks.struck(row.error)
            if (body, headers, error) != (row.body, row.headers, row.error):
                row.body, row.headers, row.error = body, headers, error
                struck += 1
        session.flush()
    return struck


def _strike(
    session: Session,
    table: type[DeclarativeBase],
    columns: tuple[InstrumentedAttribute[Any], ...],
    traces: Traces,
) -> int:
    struck = 0
    for row in list(session.scalars(select(table).where(_holding(columns, traces)))):
        for column in columns:
            before = getattr(row, column.key)
            after = traces.struck(before)
            if after != before:
                setattr(row, column.key, after)
                struck += 1
    session.flush()
    return struck


def _forget_answers(session: Session, traces: Traces) -> int:
    found = session.execute(
        select(CompletionCache.key, CompletionCache.response).where(
            _holding((CompletionCache.response,), traces)
        )
    )
    keys = [key for key, response in found if traces.struck(response) != response]
    return _deleted(session, CompletionCache, CompletionCache.key.in_(keys)) if keys else 0


def _holding(columns: Sequence[InstrumentedAttribute[Any]], traces: Traces) -> Any:
    """Rows that may hold a trace: whole words are told apart afterwards."""
    return or_(
        *(
            cast(column, Text).icontains(spelled, autoescape=True)
            for column in columns
            for spelled in traces.spellings
        )
    )


def _shared(session: Session, lead_id: int, value: str) -> bool:
    """Whether another lead has it too, in any column: then it tells nothing about this one."""
    where: list[Any] = [column.icontains(value, autoescape=True) for column in _TEXTS]
    attributes = cast(Lead.attributes, Text)
    for spelled in Traces((value,)).spellings:
        where.append(attributes.icontains(spelled, autoescape=True))
    query = select(Lead.id).where(Lead.id != lead_id, or_(*where)).limit(1)
    return session.scalar(query) is not None


def _count(counts: dict[str, int], name: str, number: int) -> None:
    if number:
        counts[name] = counts.get(name, 0) + number


def _deleted(session: Session, table: type[DeclarativeBase], condition: Any) -> int:
    found = session.execute(delete(table).where(condition))
    return int(getattr(found, "rowcount", 0))
