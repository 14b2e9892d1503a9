"""The way in: a form asks for a confirmation mail, a page shows what is agreed to, a button confirms it."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from pigeonry.domain import Language
from pigeonry.errors import BadInput, WrongUse
from pigeonry.service import subscriptions
from pigeonry.web.answers import page
from pigeonry.web.limits import FORM_BYTES, Turned, form, network
from pigeonry.web.site import TheSite

_FROM_ONE_PLACE = (20, 600.0)  # requests, seconds: an office behind one address signs up too
_FOR_ONE_ADDRESS = (3, 3600.0)

router = APIRouter()


@router.post("/subscribe")
async def ask(request: Request, site: TheSite) -> Response:
    """Says the same whether the address is new, known or suppressed."""
    ip = site.ip(request)
    if not site.rate.allows(
        f"ip {network(ip)}", most=_FROM_ONE_PLACE[0], seconds=_FROM_ONE_PLACE[1]
    ):
        raise Turned(429, "too many requests", reason="too_often", retry_after=60)
    async with site.budgets["forms"].body(request, FORM_BYTES) as body:
        fields = await form(request, body)
    values = {name: str(fields.get(name) or "").strip()[:320] for name in ("email", "language")}
    spoken = values["language"] or Language.RO.value
    answer = page(request, "asked", known=Language(spoken) if spoken in set(Language) else None)
    key = f"address {values['email'].casefold()}"
    if not site.rate.allows(key, most=_FOR_ONE_ADDRESS[0], seconds=_FOR_ONE_ADDRESS[1]):
        site.count("too_often")
        return answer
    try:
        await run_in_threadpool(
            subscriptions.request_opt_in,
            site.db,
            site.home,
            email=values["email"],
            language=spoken,
            text_version=str(fields.get("text_version") or "").strip()[:16],
            source="signup form",
            ip=ip,
            now=site.clock(),
        )
    except (BadInput, WrongUse) as error:
        raise Turned(400, error.what, reason="bad_form") from error
    return answer


@router.api_route("/c/{token:path}", methods=["GET", "HEAD"])
def look(request: Request, token: str, site: TheSite) -> Response:
    view = subscriptions.opt_in_view(site.db, site.home, token, now=site.clock())
    if view is None:
        return page(request, "lost", status=404)
    if view.confirmed:
        return page(request, "confirmed", known=view.language)
    return page(request, "confirm", known=view.language, view=view, action=request.url.path)


@router.post("/c/{token:path}")
async def confirm(request: Request, token: str, site: TheSite) -> Response:
    async with site.budgets["forms"].body(request, FORM_BYTES) as body:
        fields = await form(request, body)
    if fields.get("confirm") != "yes":
        raise Turned(400, "press the button on the page", reason="bad_form")
    now = site.clock()
    view = await run_in_threadpool(subscriptions.opt_in_view, site.db, site.home, token, now=now)
    done = await run_in_threadpool(
        subscriptions.confirm_opt_in,
        site.db,
        site.home,
        token,
        ip=site.ip(request),
        user_agent=request.headers.get("user-agent", "")[:500],
        now=now,
    )
    if not done or view is None:
        return page(request, "lost", status=404)
    site.count("confirmed")
    return page(request, "confirmed", known=view.language)
