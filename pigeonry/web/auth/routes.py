"""Routes of the console. Each says who may use it; nothing of a page runs before that is settled."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.responses import RedirectResponse

from pigeonry.domain.operator import STRONG, Permission
from pigeonry.errors import NotFound, OutsideFailure, PigeonryError, Refused, WrongUse
from pigeonry.service import sign_in
from pigeonry.web.auth import cookies, hosts
from pigeonry.web.auth.forms import Form, read_form
from pigeonry.web.auth.visit import Visit, csrf_of, language_of
from pigeonry.web.limits import Turned
from pigeonry.web.site import Site

SIGN_IN = "/sign-in"


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may use a route. `may` is None where nobody has to be signed in; `stream` where the page reads
    the body itself, so that the form's token comes in the address or in a header."""

    may: Permission | None
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Nav:
    """A room's place in the header."""

    path: str
    key: str
    may: Permission = Permission.VIEW


ANYONE: Permission | None = None
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class Guarded(APIRoute):
    """A route that admits a visit before it does anything else."""

    policy: ClassVar[Policy]

    def get_route_handler(self) -> Handler:
        handle, policy = super().get_route_handler(), self.policy

        async def guarded(request: Request) -> Response:
            visit = await _known(request)
            try:
                turned = _turned_away(visit, policy)
                if turned is not None:
                    return turned
                if request.method not in hosts.SAFE_METHODS:
                    visit = await _posted(visit, policy)
                request.state.visit = visit
                return await handle(request)
            except RequestValidationError:
                wrong = WrongUse("the address of this page has a value that does not fit")
                return await run_in_threadpool(visit.wrong, wrong, 422)
            except Turned as error:
                site: Site = request.app.state.site
                site.count(f"turned_away.{error.reason}")
                answer = await run_in_threadpool(visit.wrong, WrongUse(error.detail), error.status)
                if error.status in (408, 413):
                    answer.headers["Connection"] = "close"  # the rest of that body is not read
                return answer
            except PigeonryError as error:
                return await run_in_threadpool(visit.wrong, error, _status(error))

        return guarded


class Console(APIRouter):
    """The routes of one room. `nav` puts it into the header."""

    def __init__(self, nav: Nav | None = None) -> None:
        super().__init__(include_in_schema=False)
        self.nav = nav

    def page(self, path: str, *, may: Permission | None) -> Callable[[Endpoint], Endpoint]:
        """Something to look at (GET): changes nothing."""
        return self._guarded(path, ["GET", "HEAD"], Policy(may))

    def action(
        self, path: str, *, may: Permission | None, stream: bool = False
    ) -> Callable[[Endpoint], Endpoint]:
        """Something that a form does (POST). Its fields stand in `visit.form`; with `stream` the page
        reads the body itself, for uploads."""
        return self._guarded(path, ["POST"], Policy(may, stream))

    def _guarded(
        self, path: str, methods: list[str], policy: Policy
    ) -> Callable[[Endpoint], Endpoint]:
        kind = type("GuardedRoute", (Guarded,), {"policy": policy})

        def add(endpoint: Endpoint) -> Endpoint:
            self.add_api_route(
                path, endpoint, methods=methods, response_model=None, route_class_override=kind
            )
            return endpoint

        return add


async def lost(request: Request) -> Response | None:
    """The console's own page for an address that does not exist; None for whoever is not signed in."""
    site: Site = request.app.state.site
    program = request.url.path.startswith(("/api/", "/hooks/"))
    if program or not hosts.belongs(request, site.home) or not cookies.token(request, site.home):
        return None
    visit = await _known(request)
    if visit.who is None:
        return None
    missing = NotFound(visit.t("base.lost"), fix=visit.t("base.lost_fix"))
    return await run_in_threadpool(visit.wrong, missing, 404)


async def _known(request: Request) -> Visit:
    """Who visits. A host name that the console does not answer under sees what is not there."""
    site: Site = request.app.state.site
    if not hosts.belongs(request, site.home):
        raise HTTPException(404)
    token = cookies.token(request, site.home)
    who = None
    if 20 < len(token) < 100:
        who = await run_in_threadpool(sign_in.current, site.db, token, now=site.clock())
    return Visit(request, site, token if who else "", who, language_of(request, site.home))


def _turned_away(visit: Visit, policy: Policy) -> Response | None:
    if policy.may is None:
        return None
    if visit.who is None:
        path = visit.request.url.path
        if visit.request.method == "GET" and not visit.htmx:
            query = f"?{visit.request.url.query}" if visit.request.url.query else ""
            to = f"{SIGN_IN}?next={quote(path + query, safe='')}" if path != "/" else SIGN_IN
            answer: Response = RedirectResponse(to, 303)
        else:
            answer = Response(status_code=401, headers={"HX-Redirect": SIGN_IN})
        if cookies.token(visit.request, visit.home):
            cookies.drop_token(answer, visit.home)
        return answer
    if not visit.may(policy.may):
        visit.site.count("turned_away.role")
        return visit.wrong(
            Refused(
                visit.t("base.not_allowed", permission=visit.t(f"base.may.{policy.may}")),
                fix=visit.t("base.not_allowed_fix"),
            ),
            403,
        )
    required = visit.home.settings.web.second_factor == "required"
    if required and policy.may in STRONG and not visit.operator.second_factor:
        return visit.go("/account", "account.second_required", bad=True)
    return None


async def _posted(visit: Visit, policy: Policy) -> Visit:
    """The visit with its form. Raises Refused for a form that is none of ours."""
    request = visit.request
    given = request.headers.get("x-csrf", "")
    form = Form()
    honest = hosts.own_form(request, visit.home)
    if honest and not policy.stream:
        form = await read_form(request, visit.site)
        given = given or form.text("csrf", 200)
    elif policy.stream:
        given = given or request.query_params.get("csrf", "")
    if visit.who is not None and policy.may is not None:
        honest = honest and hmac.compare_digest(given.encode(), csrf_of(visit.token).encode())
    if not honest:
        visit.site.count("turned_away.forged_form")
        raise _Forged(visit.t("base.forged"), fix=visit.t("base.forged_fix"))
    return Visit(request, visit.site, visit.token, visit.who, visit.language, form)


class _Forged(Refused):
    code = "forged_form"


def _status(error: PigeonryError) -> int:
    if isinstance(error, _Forged):
        return 403
    if isinstance(error, NotFound):
        return 404
    if isinstance(error, Refused):
        return 409
    return 503 if isinstance(error, OutsideFailure) else 400
