"""What the API is: its OpenAPI document, and who a token belongs to."""

from __future__ import annotations

import functools
import json
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.openapi.utils import get_openapi

from pigeonry import __version__
from pigeonry.web.api import campaigns, leads
from pigeonry.web.api.problems import Problem
from pigeonry.web.api.routes import PREFIX, Api, TheCall
from pigeonry.web.api.shapes import MeOut
from pigeonry.web.auth import hosts

router = Api("token")

_ABOUT = """The same use cases as the pages and the command line.

Send a token of yours as `Authorization: Bearer pgn_…`; pages of the console make them. Lists have a `next`
that is the `cursor` of the page after; errors are `application/problem+json`; a creation may carry an
`Idempotency-Key`. Times are UTC. Reports of conversions go to `/api/v1/conversions`, with a token of its own."""


@router.get("/me", scope=None)
def me(call: TheCall) -> MeOut:
    """The token that asks: what it may do, and until when."""
    token = call.who.token
    return MeOut(
        token=token.id,
        name=token.name,
        scopes=list(token.scopes),
        role=call.who.operator.role,
        expires_at=token.expires_at,
    )


@router.api_route(  # nothing in it is secret: a client is written from it before a token exists
    "/openapi.json", methods=["GET", "HEAD"], include_in_schema=False
)
def openapi(request: Request) -> Response:
    if not hosts.belongs(request, request.app.state.site.home):
        raise HTTPException(404)
    return Response(_document(), media_type="application/json")


@functools.cache
def _document() -> str:
    return json.dumps(document(), ensure_ascii=False)


def document() -> dict[str, Any]:
    """The OpenAPI document of /api/v1."""
    routes = [*leads.router.routes, *campaigns.router.routes, *router.routes]
    made = get_openapi(title="Pigeonry", version=__version__, description=_ABOUT, routes=routes)
    parts = made.setdefault("components", {})
    parts["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    schemas = parts.setdefault("schemas", {})
    schemas["Problem"] = Problem.model_json_schema()
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own, which we never send
        schemas.pop(name, None)
    assert all(path.startswith(PREFIX) for path in made["paths"])
    return made
