"""Builds the web app of a home: which doors there are, and what holds for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pigeonry.config import Home
from pigeonry.delivery.tracking import load_tracker
from pigeonry.domain.clock import Clock, utc_now
from pigeonry.errors import OutsideFailure
from pigeonry.service.inbox import Inbox
from pigeonry.store.session import Database
from pigeonry.web import healthz, static
from pigeonry.web.answers import HEADERS, problem
from pigeonry.web.api import campaigns as api_campaigns
from pigeonry.web.api import document as api_document
from pigeonry.web.api import leads as api_leads
from pigeonry.web.auth import entrance, hosts
from pigeonry.web.auth.routes import lost
from pigeonry.web.crm_drain import CrmDrain
from pigeonry.web.doors import health, opt_in, style, track, unsubscribe
from pigeonry.web.drain import Drain
from pigeonry.web.hooks import conversions, crm, inbound, sendgrid
from pigeonry.web.keeper import Keeper
from pigeonry.web.limits import Turned
from pigeonry.web.notifier import Notifier
from pigeonry.web.pages import (
    account,
    audit,
    dashboard,
    jobs,
    leads,
    notices,
    operators,
    prompts,
    results,
    run,
    segments,
    settings,
    studio,
    studio_briefs,
    tokens,
    upload,
)
from pigeonry.web.site import Site

_AT_ONCE = 400  # requests under way in this process
_ROUTERS = (
    health,
    healthz,
    static,
    style,
    track,
    unsubscribe,
    opt_in,
    sendgrid,
    inbound,
    conversions,
    crm,
    api_leads,
    api_campaigns,
    api_document,
)
# What needs a sign-in; in the order of the header.
_CONSOLE = (
    entrance,
    account,
    dashboard,
    upload,
    leads,
    jobs,
    segments,
    studio,
    studio_briefs,
    run,
    results,
    prompts,
    settings,
    operators,
    tokens,
    notices,
    audit,
)


def build_app(home: Home, db: Database, *, clock: Clock = utc_now, drain: bool = True) -> FastAPI:
    """The app; its inbox (and, with `drain`, its drain) lives from its start-up to its shutdown."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        db.queue_writers()  # an acknowledgement must not wait for all that is being understood
        inbox = Inbox(db)
        site = Site(
            home=home,
            db=db,
            inbox=inbox,
            tracker=load_tracker(home),
            clock=clock,
            max_body=int(home.settings.web.max_body_mb * 1_000_000),
        )
        app.state.site = site
        draining = Drain(site) if drain else None
        crm_drain = CrmDrain(site) if drain and home.settings.crm else None
        keeping = Keeper(site) if drain else None
        notifying = Notifier(site) if drain else None
        yield
        if notifying:
            notifying.close()
        if keeping:
            keeping.close()
        if crm_drain:
            crm_drain.close()
        if draining:
            draining.close()
        inbox.close()

    # No generated docs: they load scripts from elsewhere, and these doors are not for trying out.
    # No redirect for a missing slash either: it would lead to whatever host the request names.
    app = FastAPI(
        lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False
    )
    for module in _ROUTERS:
        app.include_router(module.router)
    for room in _CONSOLE:
        app.include_router(room.router)
    app.state.rooms = [room.router.nav for room in _CONSOLE if room.router.nav]
    app.add_exception_handler(Turned, _turned)
    app.add_exception_handler(OutsideFailure, _outside)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _mistake)
    secure = home.settings.links.base_url.startswith("https:") or hosts.secure(home)
    app.add_middleware(Guard, at_once=_AT_ONCE, secure=secure)
    return app


class Guard:
    """The outermost layer: so many requests at once, and the same headers on every answer."""

    def __init__(self, app: ASGIApp, *, at_once: int, secure: bool) -> None:
        self._app = app
        self._left = at_once
        headers = dict(HEADERS)
        if secure:
            headers["Strict-Transport-Security"] = "max-age=31536000"
        self._headers = [(k.lower().encode(), v.encode()) for k, v in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = {name for name, _ in message["headers"]}
                more = [pair for pair in self._headers if pair[0] not in said]
                message["headers"] = [*message["headers"], *more]
            await send(message)

        if not self._left:
            busy = problem(Request(scope), 503, "too many requests at once", retry_after=5)
            await busy(scope, receive, answer)
            return
        self._left -= 1
        try:
            await self._app(scope, receive, answer)
        finally:
            self._left += 1


def _turned(request: Request, error: Exception) -> Response:
    assert isinstance(error, Turned)
    request.app.state.site.count(f"turned_away.{error.reason}")
    answer = problem(request, error.status, error.detail, retry_after=error.retry_after)
    if error.status in (408, 413):
        answer.headers["Connection"] = "close"  # the rest of that body is not read
    return answer


def _outside(request: Request, error: Exception) -> Response:
    """The database is locked, full or away: never a yes."""
    request.app.state.site.count("turned_away.database")
    return problem(request, 503, "not now, come again", retry_after=30)


def _methods(request: Request) -> str:
    """What the address can be asked for, whichever routes it is that answer."""
    waiting: list[Any] = list(request.app.routes)
    found: set[str] = set()
    while waiting:
        route = waiting.pop()
        if hasattr(route, "original_router"):
            waiting += route.original_router.routes
        elif route.path_regex.match(request.url.path):
            found |= route.methods
    return ", ".join(sorted(found))


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        own = await lost(request)
        if own is not None:
            return own
    allow = _methods(request) if error.status_code == 405 else ""
    return problem(request, error.status_code, "there is no such thing here", allow=allow)


def _mistake(request: Request, error: Exception) -> Response:
    return problem(request, 500, "this is our mistake, and it is logged")
