"""Answers for single people: what is stored about them, handed over or erased."""

from __future__ import annotations

import csv
import dataclasses
from datetime import datetime
from pathlib import Path
from typing import Any

from pigeonry.config import Home
from pigeonry.domain import ConsentState, Lead, SuppressionReason
from pigeonry.domain.address import address_hash, canonical_email
from pigeonry.errors import BadInput, NotFound
from pigeonry.store import consents, leads, people
from pigeonry.store.people import Erased
from pigeonry.store.session import Database


@dataclasses.dataclass(frozen=True, slots=True)
class Person:
    """A lead with what decides whether it may be mailed."""

    lead: Lead
    consent: ConsentState | None
    suppressed: SuppressionReason | None

    @property
    def mailable(self) -> bool:
        return self.consent is ConsentState.GRANTED and self.suppressed is None


def show_person(db: Database, home: Home, email: str) -> Person:
    """Raises NotFound for an address that nobody has, BadInput for what is no address."""
    address = _address(email)
    digest = address_hash(address, home.secret("suppression.key"))
    with db.read() as session:
        lead = leads.by_email(session, address)
        if lead is None:
            raise NotFound(
                "no lead has this address", where=address, fix="check the spelling; case is ignored"
            )
        return Person(
            lead,
            consents.consent_state(session, lead.id),
            consents.reasons(session, [digest]).get(digest),
        )


def export_person(db: Database, home: Home, email: str) -> dict[str, Any]:
    """All that is stored about the person (GDPR article 15), by table.

    Raises NotFound when nothing is stored, not even a suppression.
    """
    address = _address(email)
    digest = address_hash(address, home.secret("suppression.key"))
    with db.read() as session:
        found = people.dossier(session, address, digest)
    if found["lead"] is None and found["suppression"] is None:
        raise NotFound("nothing is stored about this address", where=address)
    return {"email": address, **found}


def erase_person(db: Database, home: Home, email: str, *, now: datetime) -> Erased:
    """Erase the person (GDPR article 17): rows, mail files, rows in error files of imports. The keyed
    hash of the address stays in suppression as an erasure. Safe to run again."""
    address = _address(email)
    digest = address_hash(address, home.secret("suppression.key"))
    with db.write() as session:
        erased = people.erase(session, address)
        consents.suppress(
            session, digest, reason=SuppressionReason.ERASURE, source="erased on request", at=now
        )
    people.forget_log(db)
    files = sum(_remove(home.outbox, key) for key in erased.send_keys)
    for report in sorted(home.reports.glob("import-*-errors.csv")):
        files += _strike(report, address)
    return dataclasses.replace(erased, files=files)


def _remove(outbox: Path, send_key: str) -> int:
    found = [path for path in outbox.rglob(f"*{send_key}*") if path.is_file()]
    for path in found:
        path.unlink()
    return len(found)


def _strike(report: Path, address: str) -> int:
    """Take the rows that hold the address out of an error file; 1 when there were any."""
    with report.open(encoding="utf-8-sig", newline="") as file:
        if not any(address in line.lower() for line in file):
            return 0
    part = report.with_suffix(".part")
    with (
        report.open(encoding="utf-8-sig", newline="") as file,
        part.open("w", encoding="utf-8-sig", newline="") as out,
    ):
        writer = csv.writer(out)
        for row in csv.reader(file):
            if not any(address in cell.lower() for cell in row):
                writer.writerow(row)
    part.replace(report)
    return 1


def _address(email: str) -> str:
    try:
        return canonical_email(email)
    except ValueError as error:
        raise BadInput(
            f"not an e-mail address: {error}", where=email[:100], fix="write name@example.com"
        ) from error
