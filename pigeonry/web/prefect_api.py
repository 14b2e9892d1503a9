"""Asks the Prefect server for a run, over plain HTTP: importing Prefect would triple the web process.

Only ids travel.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import quote

from pigeonry.config import PrefectSettings
from pigeonry.errors import OutsideFailure

_SECONDS = 5.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def start_run(
    settings: PrefectSettings, deployment: str, parameters: Mapping[str, str | int], *, key: str
) -> str:
    """Start `flow/deployment` and return the run's id; twice with one key is one run. Raises
    OutsideFailure when the server is not there or knows no such deployment."""
    found = _call(settings, "GET", f"/deployments/name/{quote(deployment)}")
    path = f"/deployments/{found.get('id')}/create_flow_run"
    body = {"parameters": dict(parameters), "idempotency_key": key}
    return str(_call(settings, "POST", path, body).get("id"))


def run_state(settings: PrefectSettings, run_id: str) -> str:
    """SCHEDULED, PENDING, RUNNING, COMPLETED, FAILED, ..."""
    return str(_call(settings, "GET", f"/flow_runs/{quote(run_id)}").get("state_type"))


def _call(
    settings: PrefectSettings, method: str, path: str, body: Mapping[str, object] | None = None
) -> dict[str, object]:
    url = f"http://{settings.host}:{settings.port}/api{path}"
    headers = {"Content-Type": "application/json"}
    if secret := os.environ.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = "Basic " + base64.b64encode(secret.encode()).decode()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with _DIRECT.open(request, timeout=_SECONDS) as answer:
            found = json.load(answer)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise OutsideFailure(
            f"the Prefect server did not do it: {type(error).__name__}", where=url, transient=True
        ) from error
    return found if isinstance(found, dict) else {}
