"""Answers for single people: what is stored about them, handed over or erased."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pigeonry.config import Home
from pigeonry.domain import ConsentBasis, ConsentState, Lead, SuppressionReason
from pigeonry.domain.address import address_hash, canonical_email
from pigeonry.errors import BadInput, NotFound
from pigeonry.service import erased_files, erasure_journal, late, prefect_records
from pigeonry.store import consents, erasing, leads, people
from pigeonry.store.consents import SuppressionRow
from pigeonry.store.session import Database


@dataclass(frozen=True, slots=True)
class Person:
    """A lead with what decides whether it may be mailed. `ended`: the consent was granted for a time that
    is over."""

    lead: Lead
    consent: ConsentState | None
    suppressed: SuppressionReason | None
    basis: ConsentBasis | None = None
    ended: bool = False

    @property
    def mailable(self) -> bool:
        granted = self.consent is ConsentState.GRANTED and not self.ended
        return granted and self.suppressed is None


@dataclass(frozen=True, slots=True)
class Erased:
    """What went. `rows` and `struck` count by table; of struck rows only what spoke of the person went.
    `deleted` and `changed` are files below the home; `left` files are the marketer's own and still show
    the person. `notes` say what could not be done now."""

    found: bool
    rows: dict[str, int] = field(default_factory=dict)
    struck: dict[str, int] = field(default_factory=dict)
    deleted: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    prefect: int = 0
    notes: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def files(self) -> int:
        return len(self.deleted) + len(self.changed)


def show_person(db: Database, home: Home, email: str, *, now: datetime) -> Person:
    """Raises NotFound for an address that nobody has, BadInput for what is no address."""
    address = _address(email)
    digest = address_hash(address, home.secret("suppression.key"))
    with db.read() as session:
        lead = leads.by_email(session, address)
        if lead is None:
            raise NotFound(
                "no lead has this address", where=address, fix="check the spelling; case is ignored"
            )
        newest = consents.newest(session, lead.id)
        return Person(
            lead,
            newest.state if newest else None,
            consents.reasons(session, [digest]).get(digest),
            newest.basis if newest else None,
            ended=bool(newest and newest.expires_at and newest.expires_at <= now),
        )


def export_person(db: Database, home: Home, email: str) -> dict[str, Any]:
    """All that is stored about the person (GDPR articles 15 and 20), by table.

    Raises NotFound when nothing is stored, not even a suppression.
    """
    address = _address(email)
    digest = address_hash(address, home.secret("suppression.key"))
    with db.read() as session:
        found = people.dossier(session, address, digest)
    if not any(found.values()):
        raise NotFound("nothing is stored about this address", where=address)
    return {"email": address, **found}


def erase_person(db: Database, home: Home, email: str, *, now: datetime) -> Erased:
    """Erase the person (GDPR article 17): rows, vectors, mails, reports, logs, Prefect's records.

    The keyed hash of the address stays: in suppression as an erasure, and in `erasures.log`. The order is
    such that no mail starts meanwhile and that a crash loses nothing: run it again. Out of reach are
    backups, and of Postgres its replicas and archived logs.
    """
    began = time.monotonic()
    address = _address(email)
    digest = address_hash(address, home.secret("suppression.key"))
    erasure_journal.note(home, digest, now=now)
    with db.write() as session:
        consents.suppress(
            session, digest, reason=SuppressionReason.ERASURE, source="erased on request", at=now
        )
    with db.read() as session:
        person = erasing.subject(session, address, digest)
        raw_ids = erasing.raw_with(session, person)
    files = erased_files.erase_traces(home, person)
    mails = erased_files.erase_mails(home, person)
    with db.write() as session:
        consents.lock_addresses(session, [digest])
        gone = erasing.erase(session, person, raw_ids, at=now, marks=late.marks(home, person))
    flying = erased_files.erase_mails(home, person)  # of a hand-over that was under way
    prefect, trouble = prefect_records.erase_records(home, person.traces)
    notes = (trouble, erasing.clean_pages(db, address))
    return Erased(
        found=person.lead_id is not None,
        rows=gone.rows,
        struck=gone.struck,
        deleted=(*mails.deleted, *flying.deleted, *files.deleted),
        changed=tuple(files.struck),
        left=tuple(files.left),
        prefect=prefect,
        notes=tuple(note for note in notes if note),
        seconds=time.monotonic() - began,
    )


def replay_erasures(db: Database, home: Home, *, now: datetime) -> int:
    """Erase again whoever a backup brought back; returns how many leads. Call it after a restore, before
    anything is sent or shown: at `hold confirm`."""
    with db.read() as session:
        known = erasure_journal.noted(home) | consents.with_reason(
            session, SuppressionReason.ERASURE
        )
        back = leads.by_hashes(session, sorted(known))
        missing = known - consents.with_reason(session, SuppressionReason.ERASURE)
    with db.write() as session:
        consents.suppress_many(
            session,
            [
                SuppressionRow(digest, SuppressionReason.ERASURE, "erased before a restore", now)
                for digest in sorted(missing)
            ],
        )
    for lead in back:
        erase_person(db, home, lead.email, now=now)
    return len(back)


def _address(email: str) -> str:
    try:
        return canonical_email(email)
    except ValueError as error:
        raise BadInput(
            f"not an e-mail address: {error}", where=email[:100], fix="write name@example.com"
        ) from error
