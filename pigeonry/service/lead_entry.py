"""One lead or one stop from another program: read by the same rules as a row of an imported file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from audience.aliases import Field
from audience.headers import Columns
from audience.rows import Record
from audience.understand import Understanding
from pigeonry.config import Home
from pigeonry.domain import ConsentClaim, SuppressionReason
from pigeonry.domain.address import address_hash, canonical_email
from pigeonry.errors import BadInput, Refused
from pigeonry.service import audit
from pigeonry.service.merging import Origin, merge_within
from pigeonry.service.repeated import Group
from pigeonry.store import consents, leads
from pigeonry.store.session import Database

NAMES = (
    Field.EMAIL,
    Field.FIRST_NAME,
    Field.LAST_NAME,
    Field.COMPANY,
    Field.PHONE,
    Field.LANGUAGE,
    Field.COUNTRY,
    Field.CITY,
    Field.TIMEZONE,
    Field.EXTERNAL_ID,
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of it; `notes` are fields that were not understood."""

    lead_id: int
    created: bool
    notes: tuple[str, ...]


def enter(
    db: Database,
    home: Home,
    values: Mapping[str, str],
    *,
    attributes: Mapping[str, str],
    consent: ConsentClaim | None,
    do_not_mail: bool,
    source: str,
    by: str,
    now: datetime,
) -> Entry:
    """Add a lead, or merge what is new into the one with that address. Empty values change nothing;
    consent and stops merge to the most restrictive.

    Raises BadInput for what is no address, WrongUse for a consent without evidence, Refused for a person
    who was erased.
    """
    named = [(field.value, field, values.get(field.value, "")) for field in NAMES]
    named += [(name, Field.ATTRIBUTE, value) for name, value in attributes.items()]
    if do_not_mail:
        named.append(("do_not_mail", Field.DO_NOT_MAIL, "yes"))
    columns = Columns(
        tuple(name for name, _, _ in named), tuple(field for _, field, _ in named), ()
    )
    reading = Understanding(columns, claim=consent, now=now)
    read = reading.read(Record(1, 1, [value for _, _, value in named]))
    if read is None or read.record is None:
        why = read.errors[0].reason if read and read.errors else "there is no address"
        raise BadInput(why, where="email")
    origin = Origin(
        key=home.secret("suppression.key"),
        default_country=home.settings.audience.default_country,
        source=source,
        at=now,
        consent_days=home.settings.privacy.consent_days,
    )
    with db.write() as session:
        merged = merge_within(session, [Group(read.record)], origin)
        if merged.erased:
            raise Refused("that person was erased and may not be stored again", where="email")
        lead_id, _ = leads.by_emails(session, [read.record.email])[read.record.email]
        audit.note(
            session,
            home,
            actor=by,
            action="lead.created" if merged.created else "lead.merged",
            subject=f"lead:{lead_id}",
            now=now,
        )
    notes = tuple(f"{error.column}: {error.reason}" for error in read.errors)
    return Entry(lead_id, bool(merged.created), notes)


def stop(db: Database, home: Home, email: str, *, by: str, source: str, now: datetime) -> bool:
    """Never write to this address again, whether it is a lead's or not; False when that was so already."""
    digest = _digest(home, email)
    with db.write() as session:
        consents.lock_addresses(session, [digest])
        known = consents.suppression(session, digest)
        consents.suppress(
            session, digest, reason=SuppressionReason.MANUAL, source=source[:200], at=now
        )
        audit.note(session, home, actor=by, action="address.suppressed", now=now)
    return known is None


def stopped(db: Database, home: Home, email: str) -> consents.SuppressionRow | None:
    """Why and since when nobody writes to this address."""
    with db.read() as session:
        return consents.suppression(session, _digest(home, email))


def _digest(home: Home, email: str) -> str:
    try:
        address = canonical_email(email)
    except ValueError as error:
        raise BadInput(str(error), where="email") from error
    return address_hash(address, home.secret("suppression.key"))
