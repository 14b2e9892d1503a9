"""Takes in what CRMs tell: stored bodies become changes of leads, each once, whatever order they come in.

Each change is a transaction of its own, so that news never holds up those who send or acknowledge; it may
run twice, and beside another drain.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from audience.crm import HUBSPOT, parse
from audience.crm_fields import Contacts, field_map
from audience.crm_generic import Paths
from audience.crm_values import digest
from pigeonry.config import CrmSettings, Home
from pigeonry.delivery.base import secret_text
from pigeonry.domain.crm import ChangeKind, CrmChange, CrmContact, CrmFlaw, CrmNews
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import ConfigError, OutsideFailure, PigeonryError
from pigeonry.service.crm_contacts import Desk, Effect, apply, asked_for, asks, external_hash
from pigeonry.service.hubspot_contacts import read_contacts
from pigeonry.service.leads import parse_claim
from pigeonry.service.merging import Origin
from pigeonry.service.people import erase_person
from pigeonry.store import crm, leads, raw_events
from pigeonry.store.raw_events import CRM, RawBody
from pigeonry.store.session import Database

log = logging.getLogger("pigeonry.crm")

_BODIES, _BYTES = 50, 1 << 20  # what is read at once
_ERRORS_KEPT = 100

# Asks a CRM for contacts by their ids; raises OutsideFailure.
Ask = Callable[[CrmSettings, str, Sequence[str], Sequence[str]], list[CrmContact]]


@dataclass(slots=True)
class CrmReport:
    """What became of the news. `effects` count changes; `rejected` elements could not be read; `ignored`
    ones speak of no contact; `waiting` bodies are tried again, `trouble` says why."""

    effects: Counter[str] = field(default_factory=Counter)
    duplicate: int = 0
    ignored: int = 0
    rejected: int = 0
    waiting: int = 0
    trouble: str = ""
    errors: list[CrmFlaw] = field(default_factory=list)

    @property
    def applied(self) -> int:
        return sum(self.effects.values())

    def counts(self) -> dict[str, int]:
        return {
            **{effect.value: self.effects[effect] for effect in Effect},
            "duplicate": self.duplicate,
            "ignored": self.ignored,
            "rejected": self.rejected,
            "waiting": self.waiting,
        }


def source_name(source: str) -> str:
    """As bodies are kept: `crm:hubspot`."""
    return f"{CRM}{source}"


def secret_name(source: str) -> str:
    return f"crm_{source}_secret"


def token_name(source: str) -> str:
    return f"crm_{source}_token"


def drain_crm(
    db: Database,
    home: Home,
    *,
    now: datetime,
    ask: Ask = read_contacts,
    progress: Progress = silent,
) -> CrmReport:
    """Apply every stored body of a CRM that has not been applied yet, oldest first. What a CRM has to be
    asked for, and does not answer, waits for the next time."""
    report = CrmReport()
    left_out = 0
    while True:
        with db.read() as session:
            ids = raw_events.undrained(
                session, skip=left_out, most=_BODIES, most_bytes=_BYTES, crm=True
            )
            bodies = raw_events.bodies(session, ids)
        if not bodies:
            return report
        by_source: dict[str, list[RawBody]] = {}
        for raw in bodies:
            by_source.setdefault(raw.source.removeprefix(CRM), []).append(raw)
        for source, mine in by_source.items():
            try:
                _drain(db, home, source, mine, now, ask, report)
            except PigeonryError as error:
                if error.where == "database":
                    raise
                left_out += len(mine)
                report.waiting += len(mine)
                report.trouble = str(error)
                log.warning("news of %s waits: %s", source, error)
        progress("news of CRMs", report.applied)


def _drain(
    db: Database,
    home: Home,
    source: str,
    bodies: Sequence[RawBody],
    now: datetime,
    ask: Ask,
    report: CrmReport,
) -> None:
    settings = home.settings.crm.get(source)
    if settings is None:
        flaw = CrmFlaw(0, f"there is no [crm.{source}] in the settings any more")
        _finish(db, {raw.id: [flaw] for raw in bodies}, now, report)
        return
    bench = _Bench(db, home, source, settings, now)
    flaws: dict[int, list[CrmFlaw]] = {}
    news: list[tuple[int, CrmChange]] = []
    ignored = 0
    for raw in bodies:
        found = bench.read(raw)
        flaws[raw.id] = list(found.flaws)
        ignored += found.ignored
        news += [(raw.id, change) for change in found.changes]
    fresh, duplicate = bench.unseen(news, flaws)
    asked = bench.ask([change for _, change in fresh], ask)
    for raw_id, change in sorted(fresh, key=_by_age):
        try:
            report.effects[bench.apply(raw_id, change, asked)] += 1
        except PigeonryError:
            raise
        except Exception as error:  # a mistake of ours: those behind it do not wait for it
            log.exception("element %d of body %d is set aside", change.position, raw_id)
            reason = f"it could not be applied ({type(error).__name__}); it is kept"
            flaws[raw_id].append(CrmFlaw(change.position, reason))
    report.duplicate += duplicate
    report.ignored += ignored
    _finish(db, flaws, now, report)


def _by_age(pair: tuple[int, CrmChange]) -> tuple[int, int, int]:
    return pair[1].revision, pair[0], pair[1].position


def _finish(
    db: Database, flaws: Mapping[int, list[CrmFlaw]], now: datetime, report: CrmReport
) -> None:
    said = {
        raw_id: "\n".join(f"element {one.position}: {one.reason}" for one in found[:_ERRORS_KEPT])
        for raw_id, found in flaws.items()
    }
    with db.write() as session:
        raw_events.mark_drained(session, said, now)
    wrong = [one for found in flaws.values() for one in found]
    report.rejected += len(wrong)
    report.errors += wrong[: _ERRORS_KEPT - len(report.errors)]


class _Bench:
    """One source's bodies at work: its settings read once."""

    def __init__(
        self, db: Database, home: Home, source: str, settings: CrmSettings, now: datetime
    ) -> None:
        self._db, self._home, self._source, self._settings = db, home, source, settings
        self._fields = field_map(settings.kind, settings.fields, where=f"crm.{source}")
        claim = parse_claim(settings.consent) if settings.consent else None
        self._contacts = Contacts(self._fields, claim=claim, now=now)
        self._now = now
        self._told: set[str] = set()  # contacts whose answer was applied
        self._origin = Origin(
            key=home.secret("suppression.key"),
            default_country=home.settings.audience.default_country,
            source=f"CRM {source}",
            at=now,
            consent_days=home.settings.privacy.consent_days,
        )

    def read(self, raw: RawBody) -> CrmNews:
        return read_body(self._settings, self._source, raw)

    def unseen(
        self, news: Sequence[tuple[int, CrmChange]], flaws: Mapping[int, list[CrmFlaw]]
    ) -> tuple[list[tuple[int, CrmChange]], int]:
        """(what is new, how many copies there are). One id with two meanings is a flaw."""
        with self._db.read() as session:
            known = crm.seen(session, self._source, [self._id(change) for _, change in news])
        fresh, copies = [], 0
        for raw_id, change in news:
            before = known.get(self._id(change))
            if before is None:
                known[self._id(change)] = _meaning(change)
                fresh.append((raw_id, change))
            elif before == _meaning(change):
                copies += 1
            else:
                flaws[raw_id].append(CrmFlaw(change.position, _TWO_MEANINGS))
        return fresh, copies

    def ask(self, changes: Sequence[CrmChange], ask: Ask) -> dict[str, CrmContact]:
        """The contacts that news only names, by id. Raises OutsideFailure."""
        ids = asked_for(changes) if self._settings.kind == HUBSPOT else []
        if not ids:
            return {}
        try:
            token = secret_text(self._home, token_name(self._source))
        except ConfigError as error:
            raise OutsideFailure(
                "HubSpot's contacts cannot be asked for without a token",
                where=error.where,
                fix=error.fix,
            ) from error
        found = ask(self._settings, token, ids, list(self._fields))
        return {contact.external_id: contact for contact in found}

    def apply(self, raw_id: int, change: CrmChange, asked: Mapping[str, CrmContact]) -> Effect:
        """One change in a transaction of its own; an erasure before it, because that takes several."""
        if change.kind is ChangeKind.ERASE:
            self._erase(change)
        with self._db.write() as session:
            leads.lock_for_merge(session)
            if crm.seen(session, self._source, [self._id(change)]):
                return Effect.UNCHANGED  # another drain was here meanwhile
            desk = Desk(
                session,
                self._source,
                self._contacts,
                self._origin,
                self._settings.on_delete == "stop",
                raw_id,
            )
            effect = self._effect(desk, change, asked)
            crm.refuse(session, desk.refusals)
            crm.note_seen(session, self._source, {self._id(change): _meaning(change)}, self._now)
        return effect

    def _effect(self, desk: Desk, change: CrmChange, asked: Mapping[str, CrmContact]) -> Effect:
        effect = Effect.UNCHANGED if change.kind is ChangeKind.FETCH else apply(desk, change)
        if not asks(change) or self._settings.kind != HUBSPOT or change.external_id in self._told:
            return effect
        self._told.add(change.external_id)  # what several pieces of news name is answered once
        contact = asked.get(change.external_id)
        if contact is None:
            return desk.missing(change.external_id)
        values, revision = contact.values, contact.revision
        told = replace(change, kind=ChangeKind.UPDATE, revision=revision, values=values)
        return max(effect, apply(desk, told), key=_weight)

    def _erase(self, change: CrmChange) -> None:
        own = external_hash(self._origin.key, self._source, change.external_id)
        with self._db.read() as session:
            contact = crm.contact(session, self._source, crm.root(session, self._source, own))
            lead = contact.lead_id if contact else None
            address = leads.address_of(session, lead) if lead is not None else None
        if address is not None:
            erase_person(self._db, self._home, address[0], now=self._now)

    def _id(self, change: CrmChange) -> str:
        return external_hash(self._origin.key, self._source, f"news\0{change.event_id}")


_TWO_MEANINGS = "its id came before with another content"


def read_body(settings: CrmSettings, source: str, raw: RawBody) -> CrmNews:
    """What a body says. One that breaks its reader is set aside, with a flaw that says so."""
    try:
        return parse(
            settings.kind,
            raw.body,
            fields=field_map(settings.kind, settings.fields, where=f"crm.{source}"),
            received_at=raw.received_at,
            account=settings.account,
            paths=Paths(
                settings.id_path,
                settings.time_path,
                settings.event_path,
                settings.action_path,
                settings.merged_path,
            ),
            message_id=str(raw.headers.get("webhook-id", "")),
        )
    except (PigeonryError, MemoryError):
        raise
    except Exception as error:
        log.exception("body %d of %s could not be read and is set aside", raw.id, source)
        reason = f"body {raw.id} could not be read ({type(error).__name__}); it is kept"
        return CrmNews(flaws=(CrmFlaw(0, reason),))


def _weight(effect: Effect) -> bool:
    return effect is not Effect.UNCHANGED


def _meaning(change: CrmChange) -> str:
    return digest(
        change.kind,
        change.external_id,
        change.revision,
        change.values,
        change.merged,
        change.stop,
    )
