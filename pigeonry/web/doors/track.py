"""Where links and pictures of tracked mails lead. Never to an address that stands in the request."""

from __future__ import annotations

import base64

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from pigeonry.service import tracking
from pigeonry.service.tracking import Visitor
from pigeonry.web.answers import page
from pigeonry.web.site import Site, TheSite

# The smallest picture that every mail program shows: 43 bytes, one transparent pixel.
GIF = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")

router = APIRouter()


@router.api_route("/t/{token:path}", methods=["GET", "HEAD"])
async def click(request: Request, token: str, site: TheSite) -> Response:
    found = await run_in_threadpool(
        tracking.click, site.db, site.tracker, token, _visitor(request, site), now=site.clock()
    )
    if found is None:
        site.count("unknown_links")
        return page(request, "lost", status=404)
    if request.method == "GET":
        await site.note(found.hit)
    return RedirectResponse(found.url, 302)


@router.api_route("/o/{token:path}", methods=["GET", "HEAD"])
async def opened(request: Request, token: str, site: TheSite) -> Response:
    hit = await run_in_threadpool(
        tracking.opened,
        site.db,
        site.tracker,
        token.removesuffix(".gif"),
        _visitor(request, site),
        now=site.clock(),
    )
    if hit is None:
        site.count("unknown_links")
        return page(request, "lost", status=404)
    if request.method == "GET":
        await site.note(hit)
    # Mail programs on the web show it inside a page of another host.
    return Response(
        GIF, headers={"Cross-Origin-Resource-Policy": "cross-origin"}, media_type="image/gif"
    )


def _visitor(request: Request, site: Site) -> Visitor:
    return Visitor(request.headers.get("user-agent", ""), site.ip(request))
