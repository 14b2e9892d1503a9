"""What an operator does with single leads: look for one, read its story, stop mail to it, hand over or erase
what is known. Whatever changes something, or hands something over, is noted in the audit trail by number."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pigeonry.config import Home
from pigeonry.domain import SuppressionReason
from pigeonry.domain.address import address_hash, canonical_email
from pigeonry.errors import WrongUse
from pigeonry.service import audit, people
from pigeonry.service.people import Erased
from pigeonry.store import consents, lead_search, lead_story, leads
from pigeonry.store.lead_search import Found
from pigeonry.store.lead_story import Story
from pigeonry.store.session import Database, Session

_LONGEST = 100  # characters of a search


def search(
    db: Database, text: str, *, before_id: int | None = None, limit: int = 50
) -> tuple[list[Found], int | None]:
    """(leads, what to give as `before_id` for the next ones; None after the last)."""
    with db.read() as session:
        found = lead_search.search(session, text[:_LONGEST], before_id=before_id, limit=limit + 1)
    return found[:limit], found[limit - 1].id if len(found) > limit else None


def count(db: Database) -> int:
    with db.read() as session:
        return leads.count(session)


def story(db: Database, lead_id: int) -> Story:
    """Raises NotFound."""
    with db.read() as session:
        return lead_story.tell(session, lead_id)


def suppress(db: Database, home: Home, lead_id: int, *, by: str, now: datetime) -> None:
    """Never mail this address again; nothing that the person clicks lifts it."""
    with db.write() as session:
        digest = _lock(session, home, lead_id)
        consents.suppress(
            session, digest, reason=SuppressionReason.MANUAL, source="operator", at=now
        )
        audit.note(
            session, home, actor=by, action="lead.suppressed", subject=f"lead:{lead_id}", now=now
        )


def withdraw(db: Database, home: Home, lead_id: int, *, by: str, now: datetime) -> None:
    """The person told us that they agree no longer. They may come back by confirming it themselves."""
    with db.write() as session:
        _lock(session, home, lead_id)
        consents.withdraw(session, lead_id, source="operator", proof="", at=now)
        audit.note(
            session, home, actor=by, action="lead.withdrawn", subject=f"lead:{lead_id}", now=now
        )


def export(db: Database, home: Home, lead_id: int, *, by: str, now: datetime) -> dict[str, Any]:
    """Everything that is stored about the person. Raises NotFound."""
    with db.read() as session:
        email = leads.get(session, lead_id).email
    found = people.export_person(db, home, email)
    audit.record(db, home, actor=by, action="lead.exported", subject=f"lead:{lead_id}", now=now)
    return found


def erase(db: Database, home: Home, lead_id: int, *, typed: str, by: str, now: datetime) -> Erased:
    """Erase the person for good. `typed` is the address as somebody typed it to confirm: raises WrongUse
    when it is another, and NotFound."""
    with db.read() as session:
        email = leads.get(session, lead_id).email
    try:
        same = canonical_email(typed) == email
    except ValueError:
        same = False
    if not same:
        raise WrongUse(
            "this is not the lead's address", where="typed", fix="type it as it is shown"
        )
    erased = people.erase_person(db, home, email, now=now)
    audit.record(
        db, home, actor=by, action="lead.erased", subject=f"lead:{lead_id}", now=now,
        rows=sum(erased.rows.values()), files=erased.files, left=len(erased.left),
        not_done=len(erased.notes),
    )  # fmt: skip
    return erased


def _lock(session: Session, home: Home, lead_id: int) -> str:
    """The lead's address hash, with its row held against a mail that is starting. Raises NotFound."""
    lead = leads.get(session, lead_id)
    digest = address_hash(lead.email, home.secret("suppression.key"))
    consents.lock_addresses(session, [digest])
    return digest
