"""Whether this app can do its work, and what it had to turn away since it started."""

from __future__ import annotations

import json

from fastapi import APIRouter, Response

from pigeonry.errors import OutsideFailure
from pigeonry.service.events import backlog
from pigeonry.web.site import TheSite

router = APIRouter()


@router.api_route("/health", methods=["GET", "HEAD"])
def health(site: TheSite) -> Response:
    """200 when the database answers, else 503. Counters begin with the process."""
    try:
        undrained = backlog(site.db)
        database = "ok"
    except OutsideFailure:
        undrained, database = -1, "down"
    answer = {
        "status": "ok" if database == "ok" else "degraded",
        "database": database,
        "waiting": site.inbox.waiting,
        "undrained": undrained,
        "counts": dict(sorted(site.counts.items())),
    }
    return Response(
        json.dumps(answer), 200 if database == "ok" else 503, media_type="application/json"
    )
