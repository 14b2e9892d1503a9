"""Asks HubSpot for contacts: its webhooks name them and say nothing more. The one door to HubSpot's API.

Written against HubSpot's documentation and tried against a server of the tests; never tried live.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from audience.crm_values import number_of, revision, text
from pigeonry.config import CrmSettings
from pigeonry.domain.crm import CrmContact
from pigeonry.errors import OutsideFailure

if TYPE_CHECKING:
    import httpx

BATCH = 100  # what one request may ask for
_PATH = "/crm/v3/objects/contacts/batch/read"
_TRIES = 4
_PATIENCE = 30.0  # seconds; who is told to wait longer comes again later
_PAUSE = 1.0  # after a failure that names no time; doubles


def read_contacts(
    settings: CrmSettings,
    token: str,
    ids: Sequence[str],
    properties: Sequence[str],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> list[CrmContact]:
    """Those of these contacts that exist, with these properties. A contact that was merged comes under the
    id that it has now.

    Raises OutsideFailure: transient when HubSpot is away, slow or wants us to wait; not transient when it
    refuses the token or the question.
    """
    import httpx

    found: list[CrmContact] = []
    with httpx.Client(
        base_url=settings.api_url,
        headers={"Authorization": f"Bearer {token}"},
        timeout=settings.timeout_seconds,
        follow_redirects=False,
    ) as client:
        for start in range(0, len(ids), BATCH):
            part = ids[start : start + BATCH]
            asked = {"properties": [*properties], "inputs": [{"id": one} for one in part]}
            found += _contacts(_post(client, asked, sleep))
    return found


def _post(client: httpx.Client, asked: Any, sleep: Callable[[float], None]) -> Any:
    import httpx

    pause, left = _PAUSE, _PATIENCE
    said = ""
    for _ in range(_TRIES):
        wait = pause
        try:
            answer = client.post(_PATH, json=asked)
        except httpx.HTTPError as error:
            said = f"HubSpot does not answer: {type(error).__name__}"
        else:
            if answer.status_code in (200, 207):  # 207: some of them do not exist
                return _json(answer)
            if answer.status_code != 429 and answer.status_code < 500:
                raise _refused(answer.status_code)
            said = f"HubSpot answered {answer.status_code}"
            told = answer.headers.get("retry-after", "")
            wait = float(told[:6]) if told.isascii() and told.isdigit() else pause
        if wait > left:
            break
        sleep(wait)
        left -= wait
        pause *= 2
    raise OutsideFailure(
        said, where="hubspot contacts", fix="what came is kept and tried again", transient=True
    )


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except json.JSONDecodeError as error:
        raise OutsideFailure(
            "HubSpot's answer is no JSON", where="hubspot contacts", transient=True
        ) from error


def _refused(status: int) -> OutsideFailure:
    fix = "look at the app's scopes in HubSpot: crm.objects.contacts.read"
    if status == 401:
        fix = "set the token of the HubSpot app: `pigeonry crm status` names its variable"
    return OutsideFailure(f"HubSpot answered {status}", where="hubspot contacts", fix=fix)


def _contacts(answer: Any) -> Iterator[CrmContact]:
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list):
        raise OutsideFailure(
            "HubSpot's answer holds no results", where="hubspot contacts", transient=True
        )
    for raw in results:
        if not isinstance(raw, dict) or raw.get("archived") is True:
            continue
        try:
            external = number_of(raw.get("id"), "id")
            when = revision(raw.get("updatedAt"), "updatedAt")
        except ValueError:
            continue  # as if HubSpot had not handed it over: the caller lists it
        values = raw.get("properties")
        pairs = values.items() if isinstance(values, dict) else ()
        yield CrmContact(external, when, {str(name): text(value) for name, value in pairs})
