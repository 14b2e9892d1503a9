"""Which value wins when rows of one file, or a file and the database, speak of the same lead.

The policy, in full:
- Within a file, rows of one address are joined in their order: a later value that is stated replaces
  an earlier one, an empty cell never does; attributes likewise, one by one.
- Against the database: a stated value replaces what is stored, an empty one never does. What a lead
  has and the file does not mention stays.
- Country, time zone and language that nobody stated are filled in from the default country (country
  and zone) or from the stated country (language), and never replace a stated one.
- Consent and suppression take the most restrictive side of all rows: one that withdraws or opts out
  outweighs any that agrees, and an address counts as agreed only if every row of it agrees.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from audience.countries import country_language, country_zone
from pigeonry.domain import LeadRecord

TEXTS = (
    "first_name",
    "last_name",
    "company",
    "phone",
    "country",
    "city",
    "timezone",
    "external_id",
)


def join(records: Sequence[LeadRecord]) -> LeadRecord:
    """One record out of all rows of an address, in the order of the file. `row` and `line` are those of
    the first."""
    if len(records) == 1:
        return records[0]
    first = records[0]
    stated: dict[str, Any] = {
        name: next((value for record in reversed(records) if (value := getattr(record, name))), "")
        for name in TEXTS
    }
    attributes: dict[str, str] = {}
    for record in records:
        attributes.update(record.attributes)
    withdrawn = any(record.consent_withdrawn for record in records)
    agreed = all(record.consent is not None for record in records) and not withdrawn
    return dataclasses.replace(
        first,
        **stated,
        language=next((r.language for r in reversed(records) if r.language is not None), None),
        attributes=attributes,
        do_not_mail=any(record.do_not_mail for record in records),
        consent_withdrawn=withdrawn,
        consent=first.consent if agreed else None,
    )


def filled(record: LeadRecord, *, default_country: str) -> tuple[str, str, str]:
    """(language, country, time zone) of a new lead: what was stated, and what follows from it."""
    language = record.language or country_language(record.country)
    country = record.country or default_country
    return language.value if language else "", country, record.timezone or country_zone(country)


def changed(record: LeadRecord, stored: Mapping[str, str]) -> dict[str, str]:
    """Texts of a stored lead that this record changes; empty when it changes none."""
    values = {
        name: value for name in TEXTS if (value := getattr(record, name)) and value != stored[name]
    }
    if record.language is not None and record.language != stored["language"]:
        values["language"] = record.language.value
    moved = values.get("country")
    if moved:
        if not stored["language"] and "language" not in values:
            values["language"] = country_language(moved) or ""
        # A zone that only followed from the old country moves along.
        followed = stored["timezone"] in ("", country_zone(stored["country"]))
        if not record.timezone and followed and country_zone(moved) != stored["timezone"]:
            values["timezone"] = country_zone(moved)
    return {name: str(value) for name, value in values.items() if value != stored[name]}


def changed_attributes(record: LeadRecord, stored: Mapping[str, str]) -> dict[str, str]:
    """Attributes that are new or different."""
    return {name: value for name, value in record.attributes.items() if stored.get(name) != value}
