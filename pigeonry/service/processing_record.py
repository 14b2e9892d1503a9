"""The record of processing activities (GDPR article 30), from the settings and the tables as they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pigeonry.config import Home
from pigeonry.service.doors import STAYS, Door, leaves
from pigeonry.service.privacy import days_of
from pigeonry.store import counting
from pigeonry.store.people import PLACES
from pigeonry.store.session import Database

PURPOSES = (
    (
        "Commercial mail to people who gave prior express consent (Romanian Law 506/2004 art. 12(1); GDPR art. "
        "6(1)(a)), or to existing customers about similar products of one's own (art. 12(2)), with its evidence."
    ),
    (
        "Confirming a wish to be written to (double opt-in), and remembering who never wants mail again "
        "(GDPR art. 6(1)(c): proving consent and honouring its withdrawal)."
    ),
    (
        "Measuring whether mail is welcome: deliveries, opens, clicks, replies, conversions; grouping people by "
        "what they are and do; choosing texts. No decision about anybody but which mail is sent."
    ),
)
SUBJECTS = (
    "leads: people whose data were imported, handed in by programs, or typed into a form",
    "people who answer mails",
    "operators of this installation",
)
MEASURES = (
    "Who never wants mail is remembered by keyed hashes (HMAC-SHA256) of addresses only.",
    "What is deleted is overwritten in SQLite (secure_delete), and its log is emptied on erasure.",
    "Secrets are files of mode 0600 or come from the environment, never from the settings.",
    "Links carry signed tokens without an address; each purpose has a key of its own.",
    "Webhooks are verified over the raw bytes and refused when they cannot be.",
    "No address and no text of a mail stands in logs, errors or Prefect's parameters.",
    "Requests to models pass a gate that refuses values of people.",
    "A restored or copied database sends nothing until an operator confirms, and erasures are repeated first.",
)


@dataclass(frozen=True, slots=True)
class Category:
    table: str
    data: str
    rows: int


@dataclass(frozen=True, slots=True)
class ProcessingRecord:
    """`missing` names what has to be filled in for the record to be complete."""

    controller: str
    contact: str
    made_at: datetime
    purposes: tuple[str, ...]
    subjects: tuple[str, ...]
    categories: tuple[Category, ...]
    recipients: tuple[Door, ...]
    retention: dict[str, str]
    measures: tuple[str, ...]
    stays: tuple[str, ...]
    missing: tuple[str, ...]


def processing_record(db: Database, home: Home, *, now: datetime) -> ProcessingRecord:
    settings = home.settings.privacy
    with db.read() as session:
        rows = counting.rows(session)
    missing = []
    if not settings.controller:
        missing.append("privacy.controller: who is responsible, with address")
    if not settings.contact:
        missing.append("privacy.contact: where people turn to, e.g. the data protection officer")
    return ProcessingRecord(
        controller=settings.controller,
        contact=settings.contact,
        made_at=now,
        purposes=PURPOSES,
        subjects=SUBJECTS,
        categories=tuple(Category(name, what, rows[name]) for name, what in PLACES.items() if what),
        recipients=tuple(door for door in leaves(home) if door.personal),
        retention=_retention(home),
        measures=MEASURES,
        stays=STAYS,
        missing=tuple(missing),
    )


def _retention(home: Home) -> dict[str, str]:
    ends = home.settings.privacy.consent_days
    return {
        **{kind: f"{days} days" for kind, days in days_of(home).items() if days},
        "consent": f"counts for {ends} days; " * bool(ends)
        + "kept as proof while the lead is stored",
        "leads, lots, messages and their states": "until the person is erased",
        "suppression": "for good, as a keyed hash: it is the promise never to write again",
    }
