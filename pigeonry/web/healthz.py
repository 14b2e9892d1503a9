"""Whether everything that was started together is up: for a supervisor, a proxy, or whoever waits for the
first page."""

from __future__ import annotations

import json
import os
from pathlib import Path

from fastapi import APIRouter, Response

from pigeonry.errors import OutsideFailure
from pigeonry.service.operators import nobody_yet
from pigeonry.web.site import TheSite

PARTS = "PIGEONRY_PARTS_FILE"  # set by `pigeonry serve` for the web app that it starts

router = APIRouter()


@router.api_route("/healthz", methods=["GET", "HEAD"])
def healthz(site: TheSite) -> Response:
    """200 when all parts are up, else 503; which is which stands in the answer."""
    parts = {"database": _database(site), **_others()}
    ready = all(parts.values())
    body = {"status": "ok" if ready else "starting", "parts": parts}
    return Response(json.dumps(body), 200 if ready else 503, media_type="application/json")


def _database(site: TheSite) -> bool:
    try:
        nobody_yet(site.db)  # any question will do
    except OutsideFailure:
        return False
    return True


def _others() -> dict[str, bool]:
    """What `serve` says of the parts beside this one: it alone knows what it started, and watches it."""
    file = os.environ.get(PARTS)
    if not file:
        return {}
    try:
        said = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {"others": False}
    return {str(name): bool(up) for name, up in said.items()}
