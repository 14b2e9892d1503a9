"""Which links may stand in a mail. Looks at the text of a link only; asks nobody."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit


def link_fault(url: str) -> str:
    """Why a link may not stand in a mail, or "". https everywhere but on loopback and `.example`."""
    try:
        parts = urlsplit(url)
        host, _port = (parts.hostname or ""), parts.port
    except ValueError as error:
        return f"not a link: {error}"
    if parts.scheme not in {"http", "https"}:
        return f"only https and http links are allowed, not {parts.scheme or 'a bare text'!r}"
    if parts.username or parts.password or "@" in parts.netloc:
        return "a link may not hold a name or a password"
    if not host or re.search(r"[\s\\]", url):
        return "not a link"
    loopback = host == "localhost"
    try:
        loopback = ipaddress.ip_address(host).is_loopback
        if not loopback:
            return "a link needs a host name, not an IP address"
    except ValueError:
        if not loopback and not re.fullmatch(r"[\w-]+(\.[\w-]+)*\.[^\W\d][\w-]+", host):
            return f"{host!r} is no host name"
    if parts.scheme == "http" and not loopback and not host.endswith(".example"):
        return "https is required"
    return ""
