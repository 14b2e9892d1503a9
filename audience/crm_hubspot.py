"""HubSpot's webhooks: a list of small events that name a contact and hold nothing else of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from audience.crm_values import number_of, revision, text
from pigeonry.domain.crm import ChangeKind, CrmChange

_CONTACT = "0-1"  # HubSpot's number of the object type
_KINDS = {
    "creation": ChangeKind.FETCH,
    "propertychange": ChangeKind.FETCH,
    "associationchange": ChangeKind.FETCH,
    "deletion": ChangeKind.DELETE,
    "restore": ChangeKind.RESTORE,
    "merge": ChangeKind.MERGE,
    "privacydeletion": ChangeKind.ERASE,
}
# What HubSpot says of itself, beside what the operator has mapped.
_ALWAYS = frozenset({"hs_merged_object_ids"})


def account(raw: Mapping[str, Any]) -> str:
    return text(raw.get("portalId"))


def change(raw: Mapping[str, Any], position: int, fields: Collection[str]) -> CrmChange | None:
    """None for what is no contact, or a field that nobody wants. Raises ValueError."""
    about, _, event = text(raw.get("subscriptionType")).partition(".")
    kind = _KINDS.get(event.lower())
    contact = about == "contact" or (
        about == "object" and text(raw.get("objectTypeId")) == _CONTACT
    )
    if not contact or kind is None:
        return None
    changed = text(raw.get("propertyName"))
    if changed and changed not in fields and changed not in _ALWAYS:
        return None
    when = revision(raw.get("occurredAt"), "occurredAt")
    names = ("portalId", "subscriptionId", "eventId", "occurredAt", "objectId")
    event_id = ":".join(text(raw.get(name)) for name in names)
    if kind is not ChangeKind.MERGE:
        external = number_of(raw.get("objectId"), "objectId")
        return CrmChange(kind, external, when, event_id, position)
    primary = number_of(raw.get("primaryObjectId"), "primaryObjectId")
    gone = raw.get("mergedObjectIds")
    if not isinstance(gone, list) or not gone:
        raise ValueError("`mergedObjectIds` is no list of ids")
    ids = [number_of(one, "mergedObjectIds") for one in gone]
    # Newer portals make a third contact of the two.
    winner = text(raw.get("newObjectId")) or primary
    merged = tuple(sorted({primary, *ids} - {winner}))
    return CrmChange(kind, winner, when, event_id, position, merged=merged)
