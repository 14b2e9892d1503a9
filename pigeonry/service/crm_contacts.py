"""What one piece of a CRM's news does to leads, within one transaction.

The rules: what is older changes nothing. Who was deleted or erased comes back by no update. A merge never
runs in a circle. A CRM can take consent away; it can grant it only where nothing was said before, on a basis
and with a source, as a row of an import can.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from audience.crm_fields import Contacts
from audience.revisions import Stamp, newer
from pigeonry.domain import ConsentState, LeadRecord, SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.domain.crm import ChangeKind, CrmChange
from pigeonry.service.merging import Origin, merge_within
from pigeonry.service.repeated import Group
from pigeonry.store import consents, crm, leads
from pigeonry.store.crm import ERASED, Contact, Refusal
from pigeonry.store.session import Session

# Reasons for which the person, not the address, wants no mail.
_PERSONAL = frozenset(
    {
        SuppressionReason.DO_NOT_MAIL,
        SuppressionReason.UNSUBSCRIBE,
        SuppressionReason.COMPLAINT,
        SuppressionReason.MANUAL,
    }
)


class Effect(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"  # nothing new in it, or older than what is known
    DELETED = "deleted"
    MERGED = "merged"
    ERASED = "erased"
    REFUSED = "refused"


@dataclass(slots=True)
class Desk:
    """What the rules need while they look at one change. `refusals` are for a person to look at."""

    session: Session
    source: str
    contacts: Contacts
    origin: Origin
    stop_deleted: bool
    raw_id: int
    refusals: list[Refusal] = field(default_factory=list)

    @property
    def at(self) -> datetime:
        return self.origin.at

    def hash(self, external_id: str) -> str:
        return external_hash(self.origin.key, self.source, external_id)

    def known(self, external_id: str) -> Contact:
        """The contact, or the one that it became."""
        own = self.hash(external_id)
        root = crm.root(self.session, self.source, own)
        found = crm.contact(self.session, self.source, root)
        return found or Contact(self.source, root, external_id if root == own else "")

    def refuse(self, contact: Contact, kind: str, detail: str) -> Effect:
        erased = contact.deleted == ERASED
        self.refusals.append(
            Refusal(
                self.source,
                contact.external_hash,
                "" if erased else contact.external_id,
                kind,
                detail,
                self.at,
                contact.lead_id,
                self.raw_id,
            )
        )
        return Effect.REFUSED

    def missing(self, external_id: str) -> Effect:
        """The CRM does not hand over what it spoke of; of a deleted contact nobody expects it."""
        contact = self.known(external_id)
        if contact.gone:
            return Effect.UNCHANGED
        return self.refuse(contact, "unknown", "the CRM hands over no such contact")

    def put(self, contact: Contact) -> None:
        crm.put(self.session, contact, self.at)


def external_hash(key: bytes, source: str, external_id: str) -> str:
    """Keyed, so that nobody who has only the database can find out who was erased."""
    return hmac.digest(key, f"crm\0{source}\0{external_id}".encode(), "sha256").hex()


def apply(desk: Desk, change: CrmChange) -> Effect:
    """Do what a change asks for. FETCH has to be an UPDATE by now."""
    if change.kind is ChangeKind.UPDATE:
        return _update(desk, change)
    if change.kind is ChangeKind.MERGE:
        return _merge(desk, change)
    contact = desk.known(change.external_id)
    if change.kind is ChangeKind.ERASE:
        crm.put(desk.session, _erased(contact), desk.at)
        return Effect.ERASED
    if change.kind is ChangeKind.RESTORE:
        desk.put(replace(contact, restored=max(contact.restored, change.revision)))
        return Effect.UNCHANGED
    after = replace(contact, deleted=max(contact.deleted, change.revision))
    desk.put(after)
    if contact.gone or not after.gone:
        return Effect.UNCHANGED
    if contact.lead_id is not None and desk.stop_deleted:
        _stop(desk, contact.lead_id, "the contact was deleted there")
    return Effect.DELETED


def _erased(contact: Contact) -> Contact:
    return replace(
        contact, external_id="", lead_id=None, stamps={}, deleted=ERASED, waiting_since=None
    )


def _update(desk: Desk, change: CrmChange) -> Effect:
    contact = desk.known(change.external_id)
    if contact.gone:
        if contact.deleted == ERASED:
            return desk.refuse(contact, "erased", "news of a person who was erased")
        if change.revision <= contact.deleted:
            return Effect.UNCHANGED
        return desk.refuse(contact, "deleted", "an update of a contact that was deleted")
    told = {name: value for name, value in change.values.items() if value}  # empty deletes nothing
    values, stamps = newer(told, change.revision, contact.stamps)
    if not values and not change.stop:
        return Effect.UNCHANGED
    fresh = {name for name in values if _differs(name, contact.stamps, stamps)}
    lead = _lead(desk.session, contact.lead_id)
    read = desk.contacts.read(
        _consent_together(desk.contacts, values, told, fresh),
        email=lead[0] if lead else "",
        position=change.position,
    )
    if read is None or read.record is None:
        why = read.errors[0].reason if read and read.errors else "no e-mail address is known of it"
        return desk.refuse(contact, "no_address", f"it is no lead: {why}")
    record = replace(read.record, do_not_mail=read.record.do_not_mail or change.stop)
    for error in read.errors:
        if error.column in fresh:
            desk.refuse(contact, error.code, f"{error.column}: {error.reason}")
    merged = merge_within(desk.session, [Group(_heard(desk, contact, record))], desk.origin)
    if merged.erased:
        return desk.refuse(contact, "erased", "news of a person who was erased")
    lead_id, _ = leads.by_emails(desk.session, [record.email])[record.email]
    if lead and contact.lead_id is not None and contact.lead_id != lead_id:
        _moved(desk, contact, contact.lead_id, lead_id, "the contact has another address now")
    touched = bool(merged.created or merged.updated) or contact.lead_id != lead_id
    desk.put(
        replace(
            contact,
            external_id=contact.external_id or change.external_id,
            lead_id=lead_id,
            stamps=stamps,
            waiting_since=desk.at if touched else contact.waiting_since,
        )
    )
    if merged.created:
        return Effect.CREATED
    return Effect.UPDATED if touched else Effect.UNCHANGED


def _differs(name: str, before: Mapping[str, Stamp], after: Mapping[str, Stamp]) -> bool:
    return name not in before or before[name][1] != after[name][1]


def _consent_together(
    contacts: Contacts, values: Mapping[str, str], told: Mapping[str, str], fresh: set[str]
) -> dict[str, str]:
    """What is said of consent counts as a whole, and once: when any part of it is new."""
    others = {name: value for name, value in values.items() if name not in contacts.consent}
    if fresh.isdisjoint(contacts.consent):
        return others
    return {**others, **{name: told[name] for name in contacts.consent if name in told}}


def _heard(desk: Desk, contact: Contact, record: LeadRecord) -> LeadRecord:
    """The record without a consent that somebody took back here: that is listed instead."""
    if record.consent is None:
        return record
    known = leads.by_emails(desk.session, [record.email]).get(record.email)
    digest = address_hash(record.email, desk.origin.key)
    reason = consents.reasons(desk.session, [digest]).get(digest)
    state = consents.consent_state(desk.session, known[0]) if known else None
    if reason is None and state is not ConsentState.WITHDRAWN:
        return record
    why = f"suppressed: {reason}" if reason else "withdrawn"
    about = replace(contact, lead_id=known[0] if known else None)
    desk.refuse(about, "consent", f"it says that the person agreed; here consent is {why}")
    return replace(record, consent=None)


def _merge(desk: Desk, change: CrmChange) -> Effect:
    winner = desk.known(change.external_id)
    effect = Effect.UNCHANGED
    for external_id in change.merged:
        loser = desk.known(external_id)
        own = desk.hash(external_id)
        if loser.external_hash == winner.external_hash:
            if own == winner.external_hash:
                effect = desk.refuse(
                    winner, "merge_cycle", "a merge into a contact that became this one before"
                )
            continue  # it was merged before
        winner = _joined(desk, winner, loser)
        effect = Effect.MERGED if effect is not Effect.REFUSED else effect
    return effect


def _joined(desk: Desk, winner: Contact, loser: Contact) -> Contact:
    """The winner after the loser became it. The same person gets no second mail at another address."""
    if winner.lead_id is None and not winner.gone and loser.lead_id is not None:
        stamps = dict(winner.stamps)
        for name, stamp in loser.stamps.items():
            stamps[name] = max(stamp, stamps.get(name, (0, "")))
        winner = replace(winner, lead_id=loser.lead_id, stamps=stamps, waiting_since=desk.at)
    elif loser.lead_id is not None and winner.lead_id not in (None, loser.lead_id):
        assert winner.lead_id is not None
        _moved(desk, loser, loser.lead_id, winner.lead_id, "the contact was merged into another")
    desk.put(winner)
    desk.put(replace(loser, merged_into=winner.external_hash, waiting_since=None))
    return winner


def _moved(desk: Desk, contact: Contact, old: int, new: int, why: str) -> None:
    """One person, two addresses: whoever said no at one has said it at both, and only the new one may still
    get mail. A lead that another contact stands for too stays as it is."""
    before = _lead(desk.session, old)
    if before is None:
        return
    state = consents.consent_state(desk.session, old)
    reason = consents.reasons(desk.session, [before[1]]).get(before[1])
    if state is ConsentState.WITHDRAWN or reason in _PERSONAL:
        _stop(desk, new, "the person said no at another address")
    others = [
        one
        for one in crm.of_lead(desk.session, old)
        if (one.source, one.external_hash) != (contact.source, contact.external_hash)
        and not one.merged_into
    ]
    if not others:
        _stop(desk, old, why)
        desk.refuse(replace(contact, lead_id=old), "address", f"{why}: the old one gets no mail")


def _stop(desk: Desk, lead_id: int, why: str) -> None:
    found = _lead(desk.session, lead_id)
    if found is not None:
        consents.lock_addresses(desk.session, [found[1]])
        consents.withdraw(
            desk.session, lead_id, source=desk.origin.source, proof=why, at=desk.origin.at
        )


def _lead(session: Session, lead_id: int | None) -> tuple[str, str] | None:
    """(address, its hash)"""
    return None if lead_id is None else leads.address_of(session, lead_id)


def asks(change: CrmChange) -> bool:
    """Whether the contact has to be asked for where news only names it."""
    return change.kind in (ChangeKind.FETCH, ChangeKind.RESTORE, ChangeKind.MERGE)


def asked_for(changes: Iterable[CrmChange]) -> list[str]:
    """Contacts that have to be asked for, each once, in their order."""
    return list({change.external_id: None for change in changes if asks(change)})
