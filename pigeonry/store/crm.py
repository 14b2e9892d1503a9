"""Queries about contacts of CRMs. What their news means is not decided here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import func, select, update

from pigeonry.store.bulk import insert_ignoring
from pigeonry.store.models import CrmContact, CrmRefusal, CrmSeen
from pigeonry.store.session import Session

ERASED = 2**62  # as the moment of a deletion that nothing restores
_MANY = 500


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact as it is known. `stamps`: field -> (revision, digest of the value)."""

    source: str
    external_hash: str
    external_id: str
    lead_id: int | None = None
    stamps: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    deleted: int = 0
    restored: int = 0
    merged_into: str = ""
    waiting_since: datetime | None = None

    @property
    def gone(self) -> bool:
        return self.deleted > self.restored


@dataclass(frozen=True, slots=True)
class Refusal:
    """News that was not taken. `kind` is a word for the reason; `detail` names nobody."""

    source: str
    external_hash: str
    external_id: str
    kind: str
    detail: str
    at: datetime
    lead_id: int | None = None
    raw_event_id: int | None = None


def contact(session: Session, source: str, external_hash: str) -> Contact | None:
    row = _row(session, source, external_hash)
    return None if row is None else _contact(row)


def of_lead(session: Session, lead_id: int) -> list[Contact]:
    rows = session.scalars(
        select(CrmContact).where(CrmContact.lead_id == lead_id).order_by(CrmContact.id)
    )
    return [_contact(row) for row in rows]


def root(session: Session, source: str, external_hash: str) -> str:
    """The contact that this one became in the end; itself where it was never merged. A link to itself is
    never stored, so that this ends."""
    columns = (CrmContact.merged_into,)
    while True:
        into = session.scalar(
            select(*columns).where(
                CrmContact.source == source, CrmContact.external_hash == external_hash
            )
        )
        if not into:
            return external_hash
        external_hash = into


def put(session: Session, found: Contact, at: datetime) -> None:
    """Store what is known of a contact now."""
    row = _row(session, found.source, found.external_hash)
    if row is None:
        row = CrmContact(source=found.source, external_hash=found.external_hash)
        session.add(row)
    row.external_id = found.external_id
    row.lead_id = found.lead_id
    row.stamps = {name: list(stamp) for name, stamp in found.stamps.items()}
    row.deleted, row.restored = found.deleted, found.restored
    row.merged_into = found.merged_into
    row.waiting_since = found.waiting_since
    row.updated_at = at
    session.flush()


def seen(session: Session, source: str, hashes: Sequence[str]) -> dict[str, str]:
    """Of these ids of news the ones that were looked at before, with the digest of what was said."""
    found: dict[str, str] = {}
    for start in range(0, len(hashes), _MANY):
        rows = session.execute(
            select(CrmSeen.event_hash, CrmSeen.digest).where(
                CrmSeen.source == source, CrmSeen.event_hash.in_(hashes[start : start + _MANY])
            )
        )
        found.update((event_hash, digest) for event_hash, digest in rows)
    return found


def note_seen(session: Session, source: str, digests: Mapping[str, str], at: datetime) -> None:
    if digests:
        session.execute(
            insert_ignoring(session, CrmSeen),
            [
                {"source": source, "event_hash": event_hash, "digest": digest, "at": at}
                for event_hash, digest in digests.items()
            ],
        )


def refuse(session: Session, refusals: Iterable[Refusal]) -> None:
    session.add_all(
        CrmRefusal(
            source=one.source,
            raw_event_id=one.raw_event_id,
            external_hash=one.external_hash,
            external_id=one.external_id,
            lead_id=one.lead_id,
            kind=one.kind,
            detail=one.detail,
            at=one.at,
        )
        for one in refusals
    )
    session.flush()


def refusals(session: Session, *, source: str = "", limit: int = 50) -> list[Refusal]:
    """The newest first."""
    query = select(CrmRefusal).order_by(CrmRefusal.id.desc()).limit(limit)
    if source:
        query = query.where(CrmRefusal.source == source)
    return [
        Refusal(
            row.source, row.external_hash, row.external_id, row.kind, row.detail, row.at, row.lead_id,
            row.raw_event_id,
        )
        for row in session.scalars(query)
    ]  # fmt: skip


def refusal_counts(session: Session, source: str) -> dict[str, int]:
    rows = session.execute(
        select(CrmRefusal.kind, func.count())
        .where(CrmRefusal.source == source)
        .group_by(CrmRefusal.kind)
        .order_by(CrmRefusal.kind)
    )
    return {str(kind): int(count) for kind, count in rows}


def counts(session: Session, source: str) -> dict[str, int]:
    """Contacts that are known, and of these the deleted, the merged and those whose lead waits."""
    mine = CrmContact.source == source

    def number(*conditions: object) -> int:
        query = select(func.count()).select_from(CrmContact).where(mine, *conditions)  # type: ignore[arg-type]
        return session.scalar(query) or 0

    return {
        "contacts": number(),
        "deleted": number(CrmContact.deleted > CrmContact.restored),
        "merged": number(CrmContact.merged_into != ""),
        "waiting": number(CrmContact.waiting_since.is_not(None)),
    }


def waiting(session: Session, *, limit: int) -> list[Contact]:
    """Contacts whose lead waits for a segment and for what rules start, longest first."""
    rows = session.scalars(
        select(CrmContact)
        .where(CrmContact.waiting_since.is_not(None), CrmContact.lead_id.is_not(None))
        .order_by(CrmContact.waiting_since, CrmContact.id)
        .limit(limit)
    )
    return [_contact(row) for row in rows]


def any_waiting(session: Session) -> bool:
    return bool(waiting(session, limit=1))


def followed(session: Session, done: Iterable[Contact]) -> None:
    """They wait no longer, unless something new came meanwhile."""
    for one in done:
        session.execute(
            update(CrmContact)
            .where(
                CrmContact.source == one.source,
                CrmContact.external_hash == one.external_hash,
                CrmContact.waiting_since == one.waiting_since,
            )
            .values(waiting_since=None)
        )


def forget_lead(session: Session, lead_id: int) -> int:
    """An erasure: the contacts keep their hash, so that news of them stays unwelcome, and nothing else."""
    rows = list(session.scalars(select(CrmContact).where(CrmContact.lead_id == lead_id)))
    for row in rows:
        row.lead_id, row.external_id, row.stamps = None, "", {}
        row.deleted, row.waiting_since = ERASED, None
    hashes = [row.external_hash for row in rows]
    about = CrmRefusal.lead_id == lead_id
    if hashes:
        about = about | CrmRefusal.external_hash.in_(hashes)
    for refusal in session.scalars(select(CrmRefusal).where(about)):
        session.delete(refusal)
    session.flush()
    return len(rows)


def _row(session: Session, source: str, external_hash: str) -> CrmContact | None:
    return session.scalar(
        select(CrmContact).where(
            CrmContact.source == source, CrmContact.external_hash == external_hash
        )
    )


def _contact(row: CrmContact) -> Contact:
    return Contact(
        row.source,
        row.external_hash,
        row.external_id,
        row.lead_id,
        {name: (stamp[0], stamp[1]) for name, stamp in row.stamps.items()},
        row.deleted,
        row.restored,
        row.merged_into,
        row.waiting_since,
    )
