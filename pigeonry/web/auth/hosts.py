"""Under which host name the console answers, and that a form comes from one of its own pages."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

from pigeonry.config import Home

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def console_url(home: Home, host: str = "", port: int = 0) -> str:
    """Where operators sign in, without a slash at the end; "" when they cannot: the listener is public
    and `web.console_url` is not set."""
    web = home.settings.web
    if web.console_url:
        return web.console_url.rstrip("/")
    host, port = host or web.host, port or web.port
    if not loopback(host):
        return ""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def secure(home: Home) -> bool:
    """Whether the console is behind https, so that cookies may never travel in the clear."""
    return home.settings.web.console_url.startswith("https://")


def belongs(request: Request, home: Home) -> bool:
    """Whether this request may see the console at all.

    With `web.console_url`: only under that name. Without: only when it came to a loopback listener, by a
    loopback name (a page elsewhere could let its own name point here), and through no proxy.
    """
    asked = request.headers.get("host", "").lower()
    wanted = home.settings.web.console_url
    if wanted:
        return asked in _names(wanted)
    listener = request.scope.get("server") or ("", 0)
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    name = urlsplit(f"//{asked}").hostname or ""
    return loopback(str(listener[0])) and loopback(name)


def own_form(request: Request, home: Home) -> bool:
    """Whether a browser says that the request comes from a page of ours. Programs say nothing."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    if origin is None:
        return True  # no browser; the token decides
    scheme = "https" if secure(home) else "http"
    return origin.lower() == f"{scheme}://{request.headers.get('host', '').lower()}"


def loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _names(url: str) -> set[str]:
    parts = urlsplit(url.lower())
    names = {parts.netloc}
    if parts.port is None:
        names.add(f"{parts.netloc}:443")
    return names
