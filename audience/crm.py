"""Bodies of CRM webhooks as changes of contacts. Never raises for what is in a body."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any

from audience import crm_generic, crm_hubspot, crm_pipedrive, crm_salesforce
from audience.crm_generic import Paths
from pigeonry.domain.crm import CrmChange, CrmFlaw, CrmNews
from pigeonry.domain.strict_json import elements

HUBSPOT, SALESFORCE, PIPEDRIVE, GENERIC = "hubspot", "salesforce", "pipedrive", "generic"
KINDS = (HUBSPOT, SALESFORCE, PIPEDRIVE, GENERIC)
# A moment far ahead would win against every later change of the contact.
_AHEAD = timedelta(days=1)
_ELSEWHERE = "it comes from another account than the one that is set"


def parse(
    kind: str,
    body: bytes,
    *,
    fields: Collection[str],
    received_at: datetime,
    account: str = "",
    paths: Paths | None = None,
    message_id: str = "",
) -> CrmNews:
    """What a body says. `fields` are the CRM's names of what is wanted; `account` the portal, organisation
    or company whose news counts, "" for any."""
    if kind == SALESFORCE:
        return _salesforce(body, account, received_at)
    found = paths or Paths()
    readers: Mapping[str, tuple[Callable[[Any, int], CrmChange | None], Callable[[Any], str]]] = {
        HUBSPOT: (lambda raw, at: crm_hubspot.change(raw, at, fields), crm_hubspot.account),
        PIPEDRIVE: (crm_pipedrive.change, crm_pipedrive.account),
        GENERIC: (
            lambda raw, at: crm_generic.change(raw, at, found, fields, message_id),
            lambda _: account,
        ),
    }
    read, account_of = readers[kind]
    changes: list[CrmChange] = []
    flaws: list[CrmFlaw] = []
    ignored = 0
    for element in elements(body):
        if element.value is None:
            flaws.append(CrmFlaw(element.position, element.flaw))
            continue
        try:
            if account and account_of(element.value) != account:
                raise ValueError(_ELSEWHERE)
            change = read(element.value, element.position)
            if change is None:
                ignored += 1
            else:
                changes.append(_in_time(change, received_at))
        except ValueError as error:
            flaws.append(CrmFlaw(element.position, str(error)))
    return CrmNews(tuple(changes), tuple(flaws), ignored)


def _salesforce(body: bytes, account: str, received_at: datetime) -> CrmNews:
    try:
        message = crm_salesforce.read(body)
        if account and message.organisation[:15] != account[:15]:  # 15 or 18 letters, the same id
            raise ValueError(_ELSEWHERE)
    except ValueError as error:
        return CrmNews(flaws=(CrmFlaw(0, str(error)),))
    changes, flaws, ignored = [], [], 0
    for position, found in crm_salesforce.changes(message):
        if found is None:
            ignored += 1
        elif isinstance(found, str):
            flaws.append(CrmFlaw(position, found))
        else:
            try:
                changes.append(_in_time(found, received_at))
            except ValueError as error:
                flaws.append(CrmFlaw(position, str(error)))
    return CrmNews(tuple(changes), tuple(flaws), ignored)


def _in_time(change: CrmChange, received_at: datetime) -> CrmChange:
    if change.revision > (received_at + _AHEAD).timestamp() * 1000:
        raise ValueError("its moment lies in the future")
    return change
