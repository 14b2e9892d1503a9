"""Purchases, sign-ups and the like, as another program of the house reports them."""

from __future__ import annotations

import hmac
import json
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from feedback.conversions import parse_conversions
from feedback.events import CONVERSIONS
from pigeonry.web.limits import Turned
from pigeonry.web.site import Site, TheSite

SECRET = "events_token"  # noqa: S105 - its name
_ERRORS_SHOWN = 100

router = APIRouter()


@router.post("/api/v1/conversions")
async def report(request: Request, site: TheSite) -> Response:
    """202 once they are on the disk; each counts once by its id, however often it is reported."""
    expected = site.secret(SECRET)
    if not expected:
        raise Turned(503, "source not configured", reason="not_configured", retry_after=300)
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(
        given.strip().encode(), expected.encode()
    ):
        raise Turned(401, "send the token as Authorization: Bearer", reason="unsigned")
    async with site.budgets["conversions"].body(request, site.max_body) as body:
        await site.keep(CONVERSIONS, body, {})
        counts = await run_in_threadpool(_counts, body, site)
    site.count("conversions", int(counts["accepted"]))
    return Response(json.dumps(counts), 202, media_type="application/json")


def _counts(body: bytes, site: Site) -> dict[str, Any]:
    """What the drain will make of them; whether one was reported before, only the drain finds out."""
    found, errors = parse_conversions(body, site.clock()).read()
    return {
        "received": len(found) + len(errors),
        "accepted": len(found),
        "rejected": len(errors),
        "errors": [
            {"position": error.position, "reason": error.reason} for error in errors[:_ERRORS_SHOWN]
        ],
    }
