"""The one stylesheet of all pages. Nothing of ours comes from another host."""

from __future__ import annotations

from fastapi import APIRouter, Response

from pigeonry.web.answers import STYLE, folder

router = APIRouter()


@router.api_route(STYLE, methods=["GET", "HEAD"])
def style() -> Response:
    return Response(
        (folder() / "style.css").read_text(encoding="utf-8"),
        headers={"Cache-Control": "public, max-age=3600"},
        media_type="text/css",
    )
