"""Where the CRMs stand: what is set, what waits, what was not taken; and what a body would say."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from audience.crm import HUBSPOT, SALESFORCE
from audience.crm_fields import field_map
from pigeonry.config import CrmSettings, Home
from pigeonry.delivery.base import secret_text
from pigeonry.domain.crm import CrmNews
from pigeonry.errors import ConfigError, NotFound
from pigeonry.service.crm import read_body, secret_name, source_name, token_name
from pigeonry.service.leads import parse_claim
from pigeonry.store import crm, raw_events
from pigeonry.store.raw_events import RawBody
from pigeonry.store.session import Database

_LISTED = 20


@dataclass(frozen=True, slots=True)
class CrmStatus:
    """One CRM. `missing` are variables of secrets that are not set; `fields` what each of its fields is
    here; `counts` contacts that are known, deleted, merged, and whose lead waits for a segment; `refused`
    counts news that was not taken, by reason."""

    source: str
    kind: str
    address: str
    missing: tuple[str, ...]
    fields: dict[str, str]
    counts: dict[str, int]
    refused: dict[str, int]


@dataclass(frozen=True, slots=True)
class CrmOverview:
    """`undrained` bodies wait to be understood; `refusals` are the newest that were not taken."""

    sources: tuple[CrmStatus, ...]
    undrained: int
    refusals: tuple[crm.Refusal, ...]


def overview(db: Database, home: Home) -> CrmOverview:
    with db.read() as session:
        return CrmOverview(
            tuple(
                CrmStatus(
                    source=name,
                    kind=settings.kind,
                    address=address_of(home, name),
                    missing=_missing(home, name, settings),
                    fields={
                        key: str(field)
                        for key, field in field_map(
                            settings.kind, settings.fields, where=f"crm.{name}"
                        ).items()
                    },
                    counts=crm.counts(session, name),
                    refused=crm.refusal_counts(session, name),
                )
                for name, settings in home.settings.crm.items()
            ),
            raw_events.count_undrained(session, crm=True),
            tuple(crm.refusals(session, limit=_LISTED)),
        )


def try_body(home: Home, source: str, body: bytes, *, now: datetime) -> CrmNews:
    """What a body of that source would say; nothing is stored and nobody is asked. Raises NotFound for a
    source that is not set, ConfigError for settings that cannot work."""
    settings = home.settings.crm.get(source)
    if settings is None:
        raise NotFound(
            f"there is no CRM named {source!r}",
            where=f"crm.{source}",
            fix=f"add [crm.{source}] with its kind to pigeonry.toml",
        )
    if settings.consent:
        parse_claim(settings.consent)
    return read_body(settings, source, RawBody(0, source_name(source), body, now))


def address_of(home: Home, source: str) -> str:
    """Where the CRM has to post to, without its secret."""
    settings = home.settings.crm[source]
    base = home.settings.links.base_url.rstrip("/")
    secret = "/SECRET" if settings.kind == SALESFORCE else ""
    return settings.url or f"{base}/hooks/crm/{source}{secret}"


def _missing(home: Home, source: str, settings: CrmSettings) -> tuple[str, ...]:
    names = [secret_name(source), *([token_name(source)] if settings.kind == HUBSPOT else [])]
    found = []
    for name in names:
        try:
            secret_text(home, name)
        except ConfigError as error:
            found.append(error.where)
    return tuple(found)
