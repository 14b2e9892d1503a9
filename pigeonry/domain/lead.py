"""Who we may write to: leads as imported, leads as stored, consent and suppression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Language(StrEnum):
    RO = "ro"
    EN = "en"


class ConsentBasis(StrEnum):
    """Legal bases of Romanian Law 506/2004 art. 12: prior express consent (1), or the exception for
    existing customers (2), which is no basis without its evidence. Anything else is none for marketing
    mail here: no legitimate interest, and no cold mail to people at firms."""

    EXPRESS = "express"
    EXISTING_CUSTOMER = "existing-customer"


class ConsentState(StrEnum):
    GRANTED = "granted"
    WITHDRAWN = "withdrawn"


class SuppressionReason(StrEnum):
    """Why an address must never be written to again, weakest first."""

    DO_NOT_MAIL = "do-not-mail"
    BOUNCE = "bounce"
    UNSUBSCRIBE = "unsubscribe"
    COMPLAINT = "complaint"
    MANUAL = "manual"
    ERASURE = "erasure"


@dataclass(frozen=True, slots=True)
class ConsentClaim:
    """What somebody says was agreed. `source` names the list, form or import; `proof` the evidence;
    `text_version` the words that were shown (`pigeonry consent text list`), "" when nobody kept them."""

    basis: ConsentBasis
    source: str
    proof: str = ""
    text_version: str = ""


@dataclass(frozen=True, slots=True)
class LeadRecord:
    """One row as understood by an import or a webhook, before it meets the database.

    `email` is canonical: NFC, domain as lower-case A-label, local part lower-cased when ASCII.
    Empty text means "not stated" and never overwrites what is known. `attributes` holds every
    column that is not a field. `row` is the spreadsheet row (header = 1), `line` the physical line.
    """

    email: str
    row: int
    line: int
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    phone: str = ""
    language: Language | None = None
    country: str = ""
    city: str = ""
    timezone: str = ""
    external_id: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    do_not_mail: bool = False
    consent: ConsentClaim | None = None
    consent_withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that was not taken, or a cell of it that was not. `value` is truncated and printable."""

    row: int
    line: int
    column: str
    value: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Lead:
    """A stored lead. `language` is what was stated or follows from the country, else None: a campaign
    then writes in the first language of its brief."""

    id: int
    email: str
    first_name: str
    last_name: str
    company: str
    phone: str
    language: Language | None
    country: str
    city: str
    timezone: str
    external_id: str
    attributes: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    segment_id: int | None = None
