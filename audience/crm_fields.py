"""Which field of a CRM is which field of a lead, and a contact's values read as a row of a file is read."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from audience.aliases import Field
from audience.crm import GENERIC, HUBSPOT, PIPEDRIVE, SALESFORCE
from audience.headers import Columns
from audience.rows import Record
from audience.understand import Understanding, Understood
from pigeonry.domain import ConsentClaim
from pigeonry.errors import ConfigError

_LEAD = {
    "email": Field.EMAIL, "first_name": Field.FIRST_NAME, "last_name": Field.LAST_NAME,
    "company": Field.COMPANY, "phone": Field.PHONE, "language": Field.LANGUAGE, "locale": Field.LANGUAGE,
    "country": Field.COUNTRY, "city": Field.CITY, "timezone": Field.TIMEZONE, "title": Field.ATTRIBUTE,
    "do_not_mail": Field.DO_NOT_MAIL, "consent.basis": Field.CONSENT, "consent.source": Field.CONSENT_SOURCE,
    "consent.at": Field.CONSENT_DATE, "tags": Field.ATTRIBUTE,
}  # fmt: skip
_DEFAULTS: Mapping[str, Mapping[str, Field]] = {
    HUBSPOT: {
        "email": Field.EMAIL, "firstname": Field.FIRST_NAME, "lastname": Field.LAST_NAME,
        "company": Field.COMPANY, "phone": Field.PHONE, "hs_language": Field.LANGUAGE,
        "country": Field.COUNTRY, "city": Field.CITY, "jobtitle": Field.ATTRIBUTE,
        "hs_email_optout": Field.DO_NOT_MAIL, "hs_legal_basis": Field.CONSENT,
    },
    SALESFORCE: {
        "Email": Field.EMAIL, "FirstName": Field.FIRST_NAME, "LastName": Field.LAST_NAME,
        "Company": Field.COMPANY, "Phone": Field.PHONE, "Country": Field.COUNTRY,
        "MailingCountry": Field.COUNTRY, "City": Field.CITY, "MailingCity": Field.CITY,
        "Title": Field.ATTRIBUTE, "HasOptedOutOfEmail": Field.DO_NOT_MAIL,
    },
    PIPEDRIVE: {
        "email": Field.EMAIL, "first_name": Field.FIRST_NAME, "last_name": Field.LAST_NAME,
        "phone": Field.PHONE, "job_title": Field.ATTRIBUTE, "marketing_status": Field.MEMBER_STATUS,
    },
    GENERIC: {f"lead.{name}": field for name, field in _LEAD.items()},
}  # fmt: skip
_CONSENT = (Field.CONSENT, Field.CONSENT_SOURCE, Field.CONSENT_DATE)


def field_map(kind: str, own: Mapping[str, str], *, where: str) -> dict[str, Field]:
    """The usual fields of that CRM, and the operator's own before them. An attribute keeps the last part
    of its name. Raises ConfigError for a field that leads do not have."""
    named: dict[str, Field] = {}
    for name, field in own.items():
        try:
            named[name] = Field(field)
        except ValueError as error:
            raise ConfigError(
                f"leads have no field {field!r}",
                where=f"{where}.fields.{name}",
                fix=f"one of: {', '.join(Field)}",
            ) from error
    usual = {name: field for name, field in _DEFAULTS[kind].items() if name not in named}
    return {**named, **usual}


class Contacts:
    """Reads contacts of one CRM. What a contact says of consent counts as it does in an import: a yes
    needs a basis, an existing customer the evidence, what is doubtful is no."""

    def __init__(
        self, fields: Mapping[str, Field], *, claim: ConsentClaim | None, now: datetime
    ) -> None:
        self._fields = fields
        self._claim = claim
        self._now = now
        self.email = tuple(name for name, field in fields.items() if field is Field.EMAIL)
        self.consent = tuple(name for name, field in fields.items() if field in _CONSENT)

    def read(self, values: Mapping[str, str], *, email: str, position: int) -> Understood | None:
        """`email` is what the contact is known by, for values that name no address. None for a contact of
        which nothing is known."""
        found: dict[str, tuple[Field, str]] = {}
        alone: set[Field] = set()
        for name, field in self._fields.items():
            value = values.get(name, "")
            # Of two fields that may be one (MailingCity, City) the first with a value counts.
            if field is Field.IGNORE or not value or field in alone:
                continue
            if field not in _SHARED:
                alone.add(field)
            found[_short(name) if field is Field.ATTRIBUTE else name] = (field, value)
        if Field.EMAIL not in alone:
            found["email"] = (Field.EMAIL, email)
        names = tuple(found)
        columns = Columns(names, tuple(field for field, _ in found.values()), ())
        says = any(field in (Field.CONSENT, Field.MEMBER_STATUS) for field, _ in found.values())
        reading = Understanding(columns, claim=self._claim if says else None, now=self._now)
        row = Record(position, position, [value for _, value in found.values()])
        return reading.read(row)


_SHARED = frozenset({Field.DO_NOT_MAIL, Field.MEMBER_STATUS, Field.CONSENT, Field.ATTRIBUTE})


def _short(name: str) -> str:
    return name.rpartition(".")[2][:80]
