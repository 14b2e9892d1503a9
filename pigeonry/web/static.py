"""Stylesheet and scripts: each under a path with the hash of its content, so that a browser may keep it for
ever and never has an old one."""

from __future__ import annotations

import functools
import gzip
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response

from pigeonry.web.answers import folder

_TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
_FOR_EVER = "public, max-age=31536000, immutable"

router = APIRouter()


@dataclass(frozen=True, slots=True)
class File:
    body: bytes
    packed: bytes
    digest: str
    kind: str


@functools.cache
def files() -> dict[str, File]:
    """By path below templates/web/static; a few hundred kB altogether."""
    return dict(_read(folder() / "static", ""))


def _read(place: Any, above: str) -> Iterator[tuple[str, File]]:
    for item in place.iterdir():
        name = f"{above}{item.name}"
        if item.is_dir():
            yield from _read(item, f"{name}/")
        elif (kind := _TYPES.get(name.rpartition(".")[2])) is not None:
            body = item.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:16]
            yield name, File(body, gzip.compress(body, 6, mtime=0), digest, kind)


def address(name: str) -> str:
    """The path of a file, e.g. of "pigeonry.css". Raises KeyError when there is none."""
    return f"/static/{files()[name].digest}/{name}"


@router.api_route("/static/{digest}/{name:path}", methods=["GET", "HEAD"])
def static(request: Request, digest: str, name: str) -> Response:
    found = files().get(name)
    if found is None or found.digest != digest:
        raise HTTPException(404)
    headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        headers["Content-Encoding"] = "gzip"
        return Response(found.packed, headers=headers, media_type=found.kind)
    return Response(found.body, headers=headers, media_type=found.kind)
