"""What goes out: pages for people in their language, problem+json for programs, the same headers on all."""

from __future__ import annotations

import functools
import importlib.resources
import json
import tomllib
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from pigeonry.domain import Language

STYLE = "/style.css"
CSP = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Robots-Tag": "noindex",
}
_FOR_PROGRAMS = ("/hooks/", "/api/", "/health")
_TITLES = {
    400: "Bad request",
    401: "Not authorised",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    413: "Too large",
    415: "Not this kind of content",
    422: "Not understood",
    429: "Too many requests",
    500: "Our mistake",
    503: "Come again later",
}


def folder() -> Any:
    return importlib.resources.files("pigeonry.templates") / "web"


@functools.cache
def words(language: Language) -> dict[str, Any]:
    text = (folder() / "words" / "doors" / f"{language}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


@functools.cache
def _pages() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(lambda name: (folder() / name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def language(request: Request, known: Language | None = None) -> Language:
    """The page's language: as the visitor switched it, as we know it, as the browser asks, Romanian."""
    asked = request.query_params.get("lang", "")
    if asked in set(Language):
        return Language(asked)
    if known is not None:
        return known
    wishes = []
    for part in request.headers.get("accept-language", "")[:200].split(","):
        tag, _, weight = part.partition(";q=")
        try:
            wishes.append((-float(weight or 1), tag.strip().lower()[:2]))
        except ValueError:
            continue
    spoken = (Language(tag) for _, tag in sorted(wishes) if tag in set(Language))
    return next(spoken, Language.RO)


def page(
    request: Request,
    name: str,
    *,
    status: int = 200,
    known: Language | None = None,
    headers: Mapping[str, str] | None = None,
    **data: object,
) -> Response:
    """A page of templates/web, in one language."""
    spoken = language(request, known)
    other = Language.EN if spoken is Language.RO else Language.RO
    html = (
        _pages()
        .get_template(f"{name}.html.j2")
        .render(
            lang=spoken.value,
            other=other.value,
            other_name=words(other)["name"],
            words=words(spoken),
            style=STYLE,
            switch=request.method == "GET",
            **data,
        )
    )
    return Response(html, status, dict(headers or {}), "text/html; charset=utf-8")


def problem(
    request: Request, status: int, detail: str, *, retry_after: int = 0, allow: str = ""
) -> Response:
    """An error: problem+json (RFC 9457) for a program, a plain page for a person."""
    headers = {"Retry-After": str(retry_after)} if retry_after else {}
    if allow:
        headers["Allow"] = allow
    if not request.url.path.startswith(_FOR_PROGRAMS):
        return page(request, "error", status=status, headers=headers, status_code=str(status))
    body = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
    }
    return Response(json.dumps(body), status, headers, "application/problem+json")
