"""Routes of the API. Each names the scope that a token needs; cookies count for nothing here."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, TypeVar

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from pigeonry.config import Home
from pigeonry.domain.operator import Scope
from pigeonry.errors import PigeonryError
from pigeonry.service import api_tokens
from pigeonry.service.api_tokens import Caller
from pigeonry.store.session import Database
from pigeonry.web.api import problems
from pigeonry.web.auth import hosts
from pigeonry.web.limits import Turned, network
from pigeonry.web.site import Site

PREFIX = "/api/v1"
BODY_BYTES = 1_000_000
RATE = (600, 60.0)  # requests of one token, seconds
_FAILURES = (60, 60.0)  # wrong tokens from one network
_WRITES = frozenset({"POST", "PUT", "PATCH"})

Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


@dataclass(frozen=True, slots=True)
class Call:
    """One request: who calls, and where the services find their things."""

    site: Site
    who: Caller

    @property
    def db(self) -> Database:
        return self.site.db

    @property
    def home(self) -> Home:
        return self.site.home

    @property
    def now(self) -> datetime:
        return self.site.clock()

    @property
    def actor(self) -> str:
        return self.who.actor


def _call(request: Request) -> Call:
    found = request.state.call
    assert isinstance(found, Call)
    return found


TheCall = Annotated[Call, Depends(_call)]


class Tokened(APIRoute):
    """A route that knows its caller before it reads anything."""

    policy: ClassVar[Scope | None]

    def get_route_handler(self) -> Handler:
        handle, scope = super().get_route_handler(), self.policy

        async def tokened(request: Request) -> Response:
            site: Site = request.app.state.site
            if not hosts.belongs(request, site.home):
                raise HTTPException(404)
            try:
                who = await _caller(request, site)
                if scope is not None and not who.may(scope):
                    site.count("turned_away.scope")
                    return problems.answer(
                        403, f"this token lacks the scope {scope}", code="scope", where=scope
                    )
                request.state.call = Call(site, who)
                if request.method in _WRITES:
                    await _read(request, site)
                return await handle(request)
            except RequestValidationError as error:
                return problems.of_request(error)
            except Turned as error:
                site.count(f"turned_away.{error.reason}")
                headers = {"Retry-After": str(error.retry_after)} if error.retry_after else {}
                if error.status == 401:
                    headers["WWW-Authenticate"] = "Bearer"
                return problems.answer(
                    error.status, error.detail, code=error.reason, headers=headers
                )
            except PigeonryError as error:
                return problems.of(error)

        return tokened


class Api(APIRouter):
    """The routes of one noun."""

    def __init__(self, tag: str) -> None:
        super().__init__(prefix=PREFIX, tags=[tag])

    def get(self, path: str, *, scope: Scope | None, **more: Any) -> Callable[[Endpoint], Endpoint]:  # type: ignore[override]
        return self._tokened("GET", path, scope, **more)

    def post(self, path: str, *, scope: Scope, **more: Any) -> Callable[[Endpoint], Endpoint]:  # type: ignore[override]
        more.setdefault("errors", ())
        more["errors"] = (409, 413, 415, *more["errors"])
        return self._tokened("POST", path, scope, **more)

    def delete(self, path: str, *, scope: Scope, **more: Any) -> Callable[[Endpoint], Endpoint]:  # type: ignore[override]
        return self._tokened("DELETE", path, scope, **more)

    def _tokened(
        self,
        method: str,
        path: str,
        scope: Scope | None,
        *,
        errors: tuple[int, ...] = (),
        responses: dict[int | str, dict[str, Any]] | None = None,
        **more: Any,
    ) -> Callable[[Endpoint], Endpoint]:
        kind = type("TokenedRoute", (Tokened,), {"policy": scope})
        needs: dict[str, Any] = {"security": [{"token": []}]}
        if scope is not None:
            needs["description"] = f"Needs the scope `{scope}`."

        def add(endpoint: Endpoint) -> Endpoint:
            self.add_api_route(
                path,
                endpoint,
                methods=[method],
                route_class_override=kind,
                responses={**problems.declared(*errors), **(responses or {})},
                openapi_extra=needs,
                **more,
            )
            return endpoint

        return add


async def _caller(request: Request, site: Site) -> Caller:
    """Raises Turned: 401 without a token that is good, 429 when it comes too often."""
    place = network(site.ip(request))
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    who = None
    if scheme.lower() == "bearer" and given:
        who = await run_in_threadpool(
            api_tokens.caller, site.db, given.strip()[:200], now=site.clock()
        )
    if who is None:
        if not site.rate.allows(f"api {place}", most=_FAILURES[0], seconds=_FAILURES[1]):
            raise Turned(429, "too many wrong tokens", reason="too_often", retry_after=60)
        raise Turned(401, "send a token as Authorization: Bearer", reason="token")
    if not site.rate.allows(f"token {who.token.id}", most=RATE[0], seconds=RATE[1]):
        raise Turned(429, "too many requests with this token", reason="too_often", retry_after=5)
    return who


async def _read(request: Request, site: Site) -> None:
    """The body, within its limits; FastAPI finds it where it looks for it."""
    async with site.budgets["console"].body(request, BODY_BYTES) as body:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if body and kind != "application/json":
            raise Turned(415, "send application/json", reason="not_json")
        request._body = body
