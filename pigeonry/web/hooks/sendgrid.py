"""SendGrid's events: verified, on the disk, acknowledged; understood later."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from feedback.events import SENDGRID
from pigeonry.web.hooks import signatures
from pigeonry.web.limits import Turned
from pigeonry.web.site import TheSite

SIGNATURE = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP = "X-Twilio-Email-Event-Webhook-Timestamp"
KEYS = "sendgrid_webhook_keys"

router = APIRouter()


@router.post("/hooks/sendgrid")
async def events(request: Request, site: TheSite) -> Response:
    keys = signatures.public_keys(site.secret(KEYS))
    if not keys:
        raise Turned(503, "source not configured", reason="not_configured", retry_after=300)
    timestamp = request.headers.get(TIMESTAMP, "")
    signature = request.headers.get(SIGNATURE, "")
    age = signatures.age(timestamp, site.clock())
    if not signature or age is None:
        raise Turned(401, "not signed by a key that we know", reason="unsigned")
    async with site.budgets["sendgrid"].body(request, site.max_body) as body:
        if not signatures.signed_by(keys, timestamp=timestamp, body=body, signature=signature):
            raise Turned(401, "not signed by a key that we know", reason="unsigned")
        late = age > signatures.LATE
        await site.keep(SENDGRID, body, {"timestamp": timestamp, "late": late})
    site.count("late_posts" if late else "posts")
    return Response(status_code=200)
