"""Any program's signed JSON: an object or a list of them, read by paths that the operator may change.

As it comes without settings:
{"event_id", "occurred_at", "action", "lead": {"id", "email", "first_name", ...}}; `action` is upsert, delete,
restore, erase, unsubscribe or merge (then `merged` lists the ids that became this one).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from audience.crm_values import at_path, digest, number_of, revision, text
from pigeonry.domain.crm import ChangeKind, CrmChange

_ACTIONS = {
    "": ChangeKind.UPDATE,
    "upsert": ChangeKind.UPDATE,
    "create": ChangeKind.UPDATE,
    "created": ChangeKind.UPDATE,
    "update": ChangeKind.UPDATE,
    "updated": ChangeKind.UPDATE,
    "change": ChangeKind.UPDATE,
    "unsubscribe": ChangeKind.UPDATE,
    "delete": ChangeKind.DELETE,
    "deleted": ChangeKind.DELETE,
    "restore": ChangeKind.RESTORE,
    "erase": ChangeKind.ERASE,
    "merge": ChangeKind.MERGE,
}


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the few things stand that every change needs."""

    id: str = "lead.id"
    time: str = "occurred_at"
    event: str = "event_id"
    action: str = "action"
    merged: str = "merged"


def change(
    raw: Mapping[str, Any], position: int, paths: Paths, fields: Collection[str], message_id: str
) -> CrmChange | None:
    """None for an action that means nothing here. `message_id` is the webhook's own, for elements that
    have none. Raises ValueError."""
    action = text(at_path(raw, paths.action)).lower()
    kind = _ACTIONS.get(action)
    if kind is None:
        return None
    external = number_of(at_path(raw, paths.id), paths.id)
    when = revision(at_path(raw, paths.time), paths.time)
    told = text(at_path(raw, paths.event))[:200]
    event_id = told or (f"{message_id}:{position}" if message_id else digest(raw))
    if kind is not ChangeKind.MERGE:
        values = {name: _text(at_path(raw, name)) for name in fields}
        values = values if kind is ChangeKind.UPDATE else {}
        return CrmChange(
            kind, external, when, event_id, position, values, stop=action == "unsubscribe"
        )
    gone = at_path(raw, paths.merged)
    if not isinstance(gone, list) or not gone:
        raise ValueError(f"`{paths.merged}` is no list of ids")
    merged = tuple(sorted({number_of(one, paths.merged) for one in gone} - {external}))
    return CrmChange(kind, external, when, event_id, position, merged=merged)


def _text(value: object) -> str:
    """A list of single values, such as labels, becomes one value."""
    if isinstance(value, list):
        return ", ".join(found for one in value if (found := text(one)))
    return text(value)
