"""Queries about leads: one, many, page by page, in bulk, and those that may be mailed now.

Whose field wins when two sources meet is not decided here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Select,
    bindparam,
    case,
    exists,
    func,
    select,
    text,
    update,
)

from pigeonry.domain import ConsentState, Language
from pigeonry.domain import Lead as DomainLead
from pigeonry.errors import NotFound
from pigeonry.store.bulk import add_rows, among
from pigeonry.store.models import Consent, DeclinedTopic, Job, Lead, Suppression
from pigeonry.store.session import Session

_CHUNK = 5000  # values of one IN list; SQLite takes at most 32,766 parameters
ERASURE = "erasure"  # kind of the job that says which lead was erased
_MERGE_LOCK = 7_305_804_402  # any constant: Postgres' advisory lock of those who add leads


class LeadFields(NamedTuple):
    """Every column that an import or a webhook may write. A tuple: millions of them are made."""

    email: str
    address_hash: str
    first_name: str
    last_name: str
    company: str
    phone: str
    language: str
    country: str
    city: str
    timezone: str
    external_id: str
    attributes: dict[str, str]


@dataclass(frozen=True, slots=True)
class MailableLead:
    """What is needed to plan a mail to somebody who agreed to it and never took it back."""

    id: int
    email: str
    first_name: str
    language: Language | None
    country: str
    timezone: str
    segment_id: int | None


def get(session: Session, lead_id: int) -> DomainLead:
    """Raises NotFound."""
    row = session.get(Lead, lead_id)
    if row is None:
        raise NotFound("no such lead", where=f"lead {lead_id}", fix="it may have been erased")
    return _lead(row)


def by_email(session: Session, email: str) -> DomainLead | None:
    """The lead of a canonical address."""
    row = session.scalar(select(Lead).where(Lead.email == email))
    return None if row is None else _lead(row)


def address_of(session: Session, lead_id: int) -> tuple[str, str] | None:
    """The address of a lead and its keyed hash."""
    row = session.execute(select(Lead.email, Lead.address_hash).where(Lead.id == lead_id)).first()
    return None if row is None else (row[0], row[1])


def by_ids(session: Session, ids: Sequence[int]) -> list[DomainLead]:
    """Those that exist, in the order of their ids."""
    found: list[DomainLead] = []
    for part in _parts(sorted(set(ids))):
        rows = session.scalars(select(Lead).where(Lead.id.in_(part)).order_by(Lead.id))
        found += [_lead(row) for row in rows]
    return found


def by_hashes(session: Session, hashes: Sequence[str]) -> list[DomainLead]:
    """The leads of these address hashes."""
    query = select(Lead).where(among(session, Lead.address_hash, hashes)).order_by(Lead.id)
    return [_lead(row) for row in session.scalars(query)]


def iterate(session: Session, *, after_id: int = 0, limit: int = 1000) -> list[DomainLead]:
    """The next leads by id: pass the last id to get the page after it."""
    rows = session.scalars(select(Lead).where(Lead.id > after_id).order_by(Lead.id).limit(limit))
    return [_lead(row) for row in rows]


def count(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Lead)) or 0


def mailable(
    session: Session,
    *,
    key: bytes = b"",
    countries: Sequence[str] = (),
    topic: str = "",
    after_id: int = 0,
    limit: int = 2000,
    now: datetime | None = None,
) -> list[MailableLead]:
    """The next leads by id with marketing consent granted and an address that is not suppressed.

    With `now` a consent that has ended counts no more (the fence looks at that in any case). Suppression is looked up by the hash that is stored with the lead; `key` is not needed for it.
    `countries` are ISO 3166 codes; none means all. Who declined mail about `topic` is not among them.
    """
    columns = (
        Lead.id,
        Lead.email,
        Lead.first_name,
        Lead.language,
        Lead.country,
        Lead.timezone,
        Lead.segment_id,
    )
    query = _mailable(select(*columns), countries, topic, now).where(Lead.id > after_id)
    return [
        MailableLead(id_, email, first, Language(lang) if lang else None, land, zone, segment)
        for id_, email, first, lang, land, zone, segment in session.execute(
            query.order_by(Lead.id).limit(limit)
        )
    ]


def count_mailable(
    session: Session,
    *,
    key: bytes = b"",
    countries: Sequence[str] = (),
    topic: str = "",
    now: datetime | None = None,
) -> int:
    return session.scalar(_mailable(select(func.count(Lead.id)), countries, topic, now)) or 0


def cells(
    session: Session,
    *,
    key: bytes = b"",
    countries: Sequence[str] = (),
    topic: str = "",
    now: datetime | None = None,
) -> dict[tuple[int | None, Language | None], int]:
    """How many leads that may be mailed there are for each segment and stated language."""
    counted = select(Lead.segment_id, Lead.language, func.count(Lead.id))
    query = _mailable(counted, countries, topic, now)
    rows = session.execute(query.group_by(Lead.segment_id, Lead.language))
    return {(segment, Language(lang) if lang else None): count for segment, lang, count in rows}


def lock_for_merge(session: Session) -> None:
    """Until this transaction ends nobody else may add leads: two sources never race for an address.

    SQLite has one writer anyway.
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MERGE_LOCK})


def by_emails(session: Session, emails: Sequence[str]) -> dict[str, tuple[int, LeadFields]]:
    """Id and fields of the leads that exist among these canonical addresses."""
    found: dict[str, tuple[int, LeadFields]] = {}
    columns = [getattr(Lead, name) for name in LeadFields._fields]
    for row in session.execute(select(Lead.id, *columns).where(among(session, Lead.email, emails))):
        found[row[1]] = (row[0], LeadFields(*row[1:]))
    return found


def add(
    session: Session, rows: Sequence[LeadFields], at: datetime, *, import_run: int | None = None
) -> list[int]:
    """Insert leads whose addresses are new; their ids, in the same order.

    Call `lock_for_merge` first in the same transaction.
    """
    if not rows:
        return []
    ids = _new_ids(session, len(rows))
    columns = ("id", *LeadFields._fields, "created_at", "updated_at", "import_run_id")
    add_rows(
        session,
        Lead,
        columns,
        ((id_, *row, at, at, import_run) for id_, row in zip(ids, rows, strict=True)),
    )
    return ids


def change(session: Session, rows: Sequence[tuple[int, LeadFields]], at: datetime) -> None:
    """Write all fields of leads that exist. Their profile has to be looked at again."""
    if not rows:
        return
    names = [name for name in LeadFields._fields if name != "email"]
    table = Lead.__table__
    session.execute(
        update(table)  # type: ignore[arg-type]
        .where(table.c.id == bindparam("lead_id"))
        .values(
            {name: bindparam(f"new_{name}") for name in names}
            | {"updated_at": at, "content_hash": None}
        ),
        [
            {"lead_id": id_, **{f"new_{name}": getattr(row, name) for name in names}}
            for id_, row in rows
        ],
    )


def _new_ids(session: Session, number: int) -> list[int]:
    if session.get_bind().dialect.name == "postgresql":
        sequence = "pg_get_serial_sequence('lead', 'id')"
        query = text(f"SELECT nextval({sequence}) FROM generate_series(1, :n)")  # noqa: S608
        return list(session.scalars(query, {"n": number}))
    # SQLite would give the number of an erased lead to the next one, and old links would speak of it.
    erased = func.max(Job.payload["lead_id"].as_integer())
    highest = (
        session.scalar(select(func.max(Lead.id))) or 0,
        session.scalar(select(erased).where(Job.kind == ERASURE)) or 0,
    )
    first = max(highest) + 1
    return list(range(first, first + number))


def _mailable(
    query: Select[Any], countries: Sequence[str], topic: str, now: datetime | None
) -> Select[Any]:
    """The one place that says who may be mailed: the newest consent for marketing is a grant (of two at
    the same moment the withdrawal counts) that has not ended, and the address is not suppressed."""
    state: Any = Consent.state
    if now is not None:
        state = case((Consent.expires_at <= now, "ended"), else_=Consent.state)
    newest = (
        select(state)
        .where(Consent.lead_id == Lead.id, Consent.purpose == "marketing")
        .order_by(Consent.at.desc(), restrictive_first(), Consent.id.desc())
        .limit(1)
        .correlate(Lead)
        .scalar_subquery()
    )
    query = query.where(
        newest == ConsentState.GRANTED.value,
        ~exists().where(Suppression.address_hash == Lead.address_hash),
    )
    if topic:
        query = query.where(
            ~exists().where(DeclinedTopic.lead_id == Lead.id, DeclinedTopic.topic == topic)
        )
    return query.where(Lead.country.in_(countries)) if countries else query


def restrictive_first() -> ColumnElement[int]:
    """Order of consents of one moment: everything else before a grant."""
    return case((Consent.state == ConsentState.GRANTED.value, 1), else_=0)


def _parts(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


def _lead(row: Lead) -> DomainLead:
    return DomainLead(
        id=row.id,
        email=row.email,
        first_name=row.first_name,
        last_name=row.last_name,
        company=row.company,
        phone=row.phone,
        language=Language(row.language) if row.language else None,
        country=row.country,
        city=row.city,
        timezone=row.timezone,
        external_id=row.external_id,
        attributes=row.attributes,
        created_at=row.created_at,
        updated_at=row.updated_at,
        segment_id=row.segment_id,
    )
