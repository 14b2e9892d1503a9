"""Brings understood leads into the database: one batch, one transaction, the most restrictive consent.

Used for files and for whatever else brings leads; the policy of fields is `audience.merge`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from audience import merge
from pigeonry.domain import ConsentState, LeadRecord, SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.service.repeated import Group
from pigeonry.store import consents, imports, leads
from pigeonry.store.consents import ConsentFields, SuppressionRow
from pigeonry.store.imports import Changes
from pigeonry.store.leads import LeadFields
from pigeonry.store.session import Database, Session


@dataclass(frozen=True, slots=True)
class Origin:
    """Where leads come from and under which rules. `key` hashes addresses for suppression; a consent
    counts for `consent_days`, 0: without end. With `run` what the import does is noted, so that it can be
    taken back; `resumed` says that a part of it was done before."""

    key: bytes
    default_country: str
    source: str
    at: datetime
    dry_run: bool = False
    consent_days: int = 0
    run: int | None = None
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """One stored value that an import changes. `before` is "" for what was not known."""

    email: str
    field: str
    before: str
    after: str


@dataclass(slots=True)
class Merged:
    """What became of a batch, counted in rows; `erased` are groups that may not be stored again."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    suppressed: int = 0
    consented: int = 0
    erased: list[Group] = field(default_factory=list)
    differences: list[Difference] = field(default_factory=list)


@dataclass(slots=True)
class _Plan:
    """Everything that a batch writes."""

    new: list[LeadFields] = field(default_factory=list)
    new_consents: list[tuple[int, LeadRecord]] = field(default_factory=list)  # index into new
    changed: list[tuple[int, LeadFields]] = field(default_factory=list)
    consents: list[ConsentFields] = field(default_factory=list)
    suppressions: list[SuppressionRow] = field(default_factory=list)
    noted: list[tuple[int, Changes]] = field(default_factory=list)  # for an undo


def merge_groups(db: Database, groups: Sequence[Group], origin: Origin) -> Merged:
    """Merge leads of distinct addresses, in one transaction; a dry run only looks."""
    if origin.dry_run:
        merged = Merged()
        with db.read() as session:
            _plan(session, groups, origin, merged)
        return merged
    with db.write() as session:
        return merge_within(session, groups, origin)


def merge_within(session: Session, groups: Sequence[Group], origin: Origin) -> Merged:
    """The same inside the caller's transaction."""
    merged = Merged()
    leads.lock_for_merge(session)
    plan = _plan(session, groups, origin, merged)
    ids = leads.add(session, plan.new, origin.at, import_run=origin.run)
    leads.change(session, plan.changed, origin.at)
    plan.consents += [_consent(ids[at], record, origin) for at, record in plan.new_consents]
    consents.record_many(session, plan.consents)
    consents.suppress_many(session, plan.suppressions)
    if origin.run is not None:
        imports.note_changes(session, origin.run, plan.noted)
    return merged


def _plan(session: Session, groups: Sequence[Group], origin: Origin, merged: Merged) -> _Plan:
    plan = _Plan()
    emails = [group.record.email for group in groups]
    hashes = [address_hash(email, origin.key) for email in emails]
    stored = leads.by_emails(session, emails)
    reasons = consents.reasons(session, hashes)
    known_ids = [lead_id for lead_id, _ in stored.values()]
    states = consents.consent_states(session, known_ids)
    created, changed = set[int](), set[int]()
    if origin.resumed and origin.run is not None:
        created, changed = imports.did(session, origin.run, known_ids)
    for group, digest in zip(groups, hashes, strict=True):
        record = group.record
        reason = reasons.get(digest)
        if reason is SuppressionReason.ERASURE:
            merged.erased.append(group)
            continue
        hushed = record.do_not_mail or reason is not None
        if record.do_not_mail and reason is None:
            plan.suppressions.append(
                SuppressionRow(digest, SuppressionReason.DO_NOT_MAIL, origin.source, origin.at)
            )
        known = stored.get(record.email)
        if known is None:
            state = _create(plan, record, digest, hushed, origin)
            merged.created += 1
            touched = True
        else:
            stopped = record.do_not_mail and reason is None
            state, touched = _update(plan, known, record, hushed, stopped, states, origin, merged)
            ours = known[0] in created
            touched = touched or stopped or ours or known[0] in changed
            merged.created += ours
            merged.updated += touched and not ours
            merged.unchanged += not touched
        news = group.news if touched else 0
        merged.updated += news
        merged.unchanged += group.rows - 1 - news
        if hushed:
            merged.suppressed += group.rows
        elif state is ConsentState.GRANTED:
            merged.consented += group.rows
    return plan


def _create(
    plan: _Plan, record: LeadRecord, digest: str, hushed: bool, origin: Origin
) -> ConsentState | None:
    language, country, zone = merge.filled(record, default_country=origin.default_country)
    plan.new.append(
        LeadFields(
            record.email,
            digest,
            record.first_name,
            record.last_name,
            record.company,
            record.phone,
            language,
            country,
            record.city,
            zone,
            record.external_id,
            dict(record.attributes),
        )
    )
    if record.consent_withdrawn:
        state = ConsentState.WITHDRAWN
    elif record.consent is not None and not hushed:
        state = ConsentState.GRANTED
    else:
        return None
    plan.new_consents.append((len(plan.new) - 1, record))
    return state


def _update(
    plan: _Plan,
    known: tuple[int, LeadFields],
    record: LeadRecord,
    hushed: bool,
    stopped: bool,
    states: dict[int, ConsentState],
    origin: Origin,
    merged: Merged,
) -> tuple[ConsentState | None, bool]:
    """(consent afterwards, whether anything changes)."""
    lead_id, fields = known
    before = fields._asdict()
    texts = merge.changed(record, before)
    attributes = merge.changed_attributes(record, fields.attributes)
    touched = bool(texts or attributes)
    changes = {name: (before[name], value) for name, value in texts.items()}
    for name, value in attributes.items():
        changes[f"+{name}"] = (fields.attributes.get(name, ""), value)
    if touched:
        plan.changed.append(
            (lead_id, fields._replace(**texts, attributes={**fields.attributes, **attributes}))
        )
        merged.differences += [
            Difference(record.email, name, before[name], value) for name, value in texts.items()
        ]
        merged.differences += [
            Difference(record.email, name, fields.attributes.get(name, ""), value)
            for name, value in attributes.items()
        ]
    state = states.get(lead_id)
    # A grant is only ever added where nothing was said before: never after a withdrawal.
    wanted = (
        ConsentState.WITHDRAWN
        if record.consent_withdrawn
        else ConsentState.GRANTED
        if record.consent is not None and not hushed and state is None
        else state
    )
    if wanted is not state:
        plan.consents.append(_consent(lead_id, record, origin))
        said, says = (one.value if one else "" for one in (state, wanted))
        merged.differences.append(Difference(record.email, "consent", said, says))
        changes["consent"] = (said, says)
        touched = True
    if stopped:
        changes["suppression"] = ("", SuppressionReason.DO_NOT_MAIL.value)
    if changes:
        plan.noted.append((lead_id, changes))
    return wanted, touched


def _consent(lead_id: int, record: LeadRecord, origin: Origin) -> ConsentFields:
    if record.consent_withdrawn or record.consent is None:
        return ConsentFields(
            lead_id, ConsentState.WITHDRAWN.value, "", origin.source, "", origin.at
        )
    claim = record.consent
    return ConsentFields(
        lead_id,
        ConsentState.GRANTED.value,
        claim.basis.value,
        claim.source[:200],
        claim.proof,
        origin.at,
        text_version=claim.text_version,
        expires_at=origin.at + timedelta(days=origin.consent_days) if origin.consent_days else None,
    )
