"""Mail that came to us, as SendGrid's inbound parse posts it: kept as it is, read later."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request, Response

from feedback.events import INBOUND
from pigeonry.web.limits import Turned
from pigeonry.web.site import TheSite

SECRET = "inbound_token"  # noqa: S105 - its name

router = APIRouter()


@router.post("/hooks/inbound/{secret}")
async def mail(request: Request, secret: str, site: TheSite) -> Response:
    """SendGrid signs no inbound mail, so the address itself is the secret."""
    expected = site.secret(SECRET)
    if not expected:
        raise Turned(503, "source not configured", reason="not_configured", retry_after=300)
    if not hmac.compare_digest(secret.encode(), expected.encode()):
        raise Turned(401, "not an address that we gave out", reason="unsigned")
    kind = request.headers.get("content-type", "")
    if kind.partition(";")[0].strip().lower() != "multipart/form-data":
        raise Turned(415, "send multipart/form-data", reason="bad_form")
    async with site.budgets["inbound"].body(request, site.max_body) as body:
        await site.keep(INBOUND, body, {"content-type": kind[:300]})
    site.count("inbound")
    return Response(status_code=200)
