"""Purchases, sign-ups and the like, as another program of the house reports them."""

from __future__ import annotations

import hmac
import json

from fastapi import APIRouter, Request, Response

from feedback.events import CONVERSIONS
from pigeonry.web.limits import Turned
from pigeonry.web.site import TheSite

SECRET = "events_token"  # noqa: S105 - its name

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
    return Response(json.dumps({}), 202, media_type="application/json")
