"""Pipedrive's webhooks, version 2: one change of a person with all that the person is now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audience.crm_values import number_of, revision, text
from pigeonry.domain.crm import ChangeKind, CrmChange

_KINDS = {
    "create": ChangeKind.UPDATE,
    "change": ChangeKind.UPDATE,
    "delete": ChangeKind.DELETE,
    "added": ChangeKind.UPDATE,
    "updated": ChangeKind.UPDATE,
    "deleted": ChangeKind.DELETE,
}


def account(raw: Mapping[str, Any]) -> str:
    return text(_object(raw, "meta").get("company_id"))


def change(raw: Mapping[str, Any], position: int) -> CrmChange | None:
    """None for what is no person. Raises ValueError."""
    meta = _object(raw, "meta")
    if text(meta.get("version")) not in ("2", "2.0"):
        raise ValueError("this is no webhook of version 2: choose v2 in Pipedrive")
    kind = _KINDS.get(text(meta.get("action")).lower())
    if text(meta.get("entity")).lower() != "person" or kind is None:
        return None
    external = number_of(meta.get("entity_id"), "meta.entity_id")
    when = revision(meta.get("timestamp"), "meta.timestamp")
    # `attempt` and `correlation_id` differ between repeats of one event.
    parts = (meta.get("id"), meta.get("webhook_id"), external, when, meta.get("action"))
    event_id = ":".join(text(part) for part in parts)
    data = _object(raw, "data")
    into = text(data.get("merged_to_id") or _object(raw, "previous").get("merged_to_id"))
    if kind is ChangeKind.DELETE and into:
        return CrmChange(ChangeKind.MERGE, into, when, event_id, position, merged=(external,))
    values = _values(data) if kind is ChangeKind.UPDATE else {}
    return CrmChange(kind, external, when, event_id, position, values)


def _values(data: Mapping[str, Any]) -> dict[str, str]:
    """Single values under their names, the primary address and telephone, own fields by their keys."""
    found: dict[str, str] = {}
    for name, value in data.items():
        if name in ("emails", "phones"):
            found[name.removesuffix("s")] = _primary(value)
        elif name == "custom_fields" and isinstance(value, dict):
            for key, own in value.items():
                found[key] = text(own.get("value") if isinstance(own, dict) else own)
        elif isinstance(value, str | int | float):
            found[name] = text(value)
    return found


def _primary(value: object) -> str:
    entries = [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
    entries.sort(key=lambda one: one.get("primary") is not True)
    return next((found for one in entries if (found := text(one.get("value")))), "")


def _object(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}
