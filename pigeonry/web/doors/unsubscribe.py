"""The way out: one click for mail programs (RFC 8058), a page for people. Looking changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData

from pigeonry.domain import Language
from pigeonry.errors import WrongUse
from pigeonry.service import subscriptions
from pigeonry.service.subscriptions import PreferenceView
from pigeonry.web.answers import page
from pigeonry.web.limits import FORM_BYTES, Turned, form
from pigeonry.web.site import TheSite

PAUSES = (30, 90, 180)  # days
WEEKLY = (1, 2, 3)  # mails

router = APIRouter()


@router.api_route("/u", methods=["GET", "HEAD"])
def by_hand(link: str = "") -> Response:
    """Somebody whose link broke pastes it as it stands in the mail."""
    return RedirectResponse(f"/u/{quote(link.strip()[:2000], safe='')}", 302)


@router.api_route("/u/{token:path}", methods=["GET", "HEAD"])
def look(request: Request, token: str, site: TheSite) -> Response:
    view = subscriptions.preferences(site.db, site.home, token, now=site.clock())
    if view is None:
        return page(request, "lost_way_out", status=404)
    return _page(request, token, view)


@router.post("/u/{token}/preferences")
async def choose(request: Request, token: str, site: TheSite) -> Response:
    async with site.budgets["forms"].body(request, FORM_BYTES) as body:
        fields = await form(request, body)
    try:
        view = await run_in_threadpool(
            subscriptions.set_preferences,
            site.db,
            site.home,
            token,
            paused_days=_number(fields, "paused_days"),
            weekly_cap=_number(fields, "weekly_cap"),
            topics=_topics(fields),
            language=_text(fields, "language") or None,
            now=site.clock(),
        )
    except WrongUse as error:
        raise Turned(400, error.what, reason="bad_form") from error
    if view is None:
        return page(request, "lost_way_out", status=404)
    return _page(request, token, view, saved=True)


@router.post("/u/{token:path}")
async def leave(request: Request, token: str, site: TheSite) -> Response:
    """RFC 8058: no cookie, no redirect, no question. The page's own button posts the same field and
    says that a person pressed it."""
    async with site.budgets["forms"].body(request, FORM_BYTES) as body:
        fields = await form(request, body)
    if _text(fields, "List-Unsubscribe") != "One-Click":
        raise Turned(400, "post List-Unsubscribe=One-Click", reason="bad_form")
    how = "page" if _text(fields, "from") == "page" else "one-click"
    done = await run_in_threadpool(
        subscriptions.unsubscribe, site.db, site.home, token, how=how, now=site.clock()
    )
    if not done:
        return page(request, "lost_way_out", status=404)
    site.count("unsubscribed")
    view = await run_in_threadpool(
        subscriptions.preferences, site.db, site.home, token, now=site.clock()
    )
    return page(request, "left", known=view.language if view else None)


def _page(request: Request, token: str, view: PreferenceView, *, saved: bool = False) -> Response:
    if not view.subscribed:
        return page(request, "left", known=view.language)
    return page(
        request,
        "preferences",
        known=view.language,
        view=view,
        action=f"/u/{quote(token, safe='')}",
        saved=saved,
        pauses=PAUSES,
        weekly=sorted({0, *WEEKLY, view.weekly_cap}),
        languages=[language.value for language in Language],
        until=view.paused_until.date().isoformat() if view.paused_until else "",
    )


def _text(fields: FormData, name: str) -> str:
    value = fields.get(name)
    return value.strip() if isinstance(value, str) else ""


def _number(fields: FormData, name: str) -> int | None:
    text = _text(fields, name)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 6):
        raise Turned(400, f"{name} is not a number", reason="bad_form")
    return int(text)


def _topics(fields: FormData) -> Mapping[str, bool] | None:
    """A box that is not ticked is not sent, so the page names the boxes that it showed."""
    shown = [name for name in fields.getlist("shown") if isinstance(name, str)]
    if not shown:
        return None
    chosen = fields.getlist("topic")
    return {name: name in chosen for name in shown}
