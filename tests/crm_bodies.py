"""Bodies as CRMs send them, built from what their documentation shows; nobody in them exists."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

AT = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
ORGANISATION = "00D5g000004abcDEAQ"


def ms(minutes: float = 0) -> int:
    """So many minutes after AT, in milliseconds since 1970."""
    return round((AT.timestamp() + minutes * 60) * 1000)


def iso(minutes: float = 0) -> str:
    return datetime.fromtimestamp(ms(minutes) / 1000, UTC).isoformat().replace("+00:00", "Z")


def hubspot(kind: str, contact: int, minutes: float = 0, **more: Any) -> dict[str, Any]:
    """One event of HubSpot's."""
    return {
        "eventId": more.pop("event_id", contact * 1000 + round(minutes * 10)),
        "subscriptionId": 12345,
        "portalId": 62515,
        "appId": 54321,
        "occurredAt": ms(minutes),
        "subscriptionType": f"contact.{kind}",
        "attemptNumber": 0,
        "objectId": contact,
        "changeSource": "CRM",
        **more,
    }


def salesforce(*objects: Mapping[str, str], kind: str = "Contact", start: int = 1) -> bytes:
    """An outbound message with a notification for each object."""
    notifications = "".join(
        f"<Notification><Id>04l5g00000{start + number:08d}</Id>"
        f'<sObject xsi:type="sf:{kind}" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">'
        + "".join(f"<sf:{name}>{value}</sf:{name}>" for name, value in one.items())
        + "</sObject></Notification>"
        for number, one in enumerate(objects)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsd="http://www.w3.org/2001/XMLSchema" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
        '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        f"<OrganizationId>{ORGANISATION}</OrganizationId><ActionId>04k5g000000TN</ActionId>"
        '<SessionId xsi:nil="true"/><EnterpriseUrl>https://x.example</EnterpriseUrl>'
        f"<PartnerUrl>https://x.example</PartnerUrl>{notifications}"
        "</notifications></soapenv:Body></soapenv:Envelope>"
    ).encode()


def pipedrive(
    action: str, person: int, minutes: float = 0, data: Mapping[str, Any] | None = None, **meta: Any
) -> dict[str, Any]:
    """A webhook of version 2."""
    return {
        "data": dict(data) if data is not None else None,
        "previous": meta.pop("previous", None),
        "meta": {
            "action": action,
            "company_id": "8800334",
            "correlation_id": "0a1b",
            "entity": "person",
            "entity_id": str(person),
            "id": f"{person}-{minutes}-{action}",
            "is_bulk_edit": False,
            "timestamp": iso(minutes),
            "type": "general",
            "user_id": "1",
            "version": "2.0",
            "webhook_id": "1601412",
            "webhook_owner_id": "1",
            "change_source": "app",
            "permitted_user_ids": ["1"],
            "attempt": 1,
            "host": "x.pipedrive.com",
            **meta,
        },
    }


def generic(
    contact: str, minutes: float = 0, action: str = "upsert", **lead: Any
) -> dict[str, Any]:
    """As the generic kind comes without settings."""
    more = {"merged": lead.pop("merged")} if "merged" in lead else {}
    return {
        "event_id": lead.pop("event_id", f"{contact}-{action}-{minutes}"),
        "occurred_at": iso(minutes),
        "action": action,
        "lead": {"id": contact, **lead},
        **more,
    }


def body(found: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps(found, ensure_ascii=False).encode()
