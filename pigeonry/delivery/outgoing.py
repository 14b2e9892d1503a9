"""Posts to addresses that an operator typed in, and to nothing inside our own network.

https alone; the name is looked up once and the connection goes to exactly that address, which has to be a
public one; no redirect is followed; time is bounded. Knows nothing of what it carries.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pigeonry.errors import OutsideFailure, WrongUse

_SECONDS = 10.0  # for each wait on the network
_WHOLE_SECONDS = 30.0  # whoever answers a byte at a time is cut off

Allowed = Callable[[str], bool]
# IPv6 networks that carry an IPv4 address inside: who may be reached through them nobody can say.
_CARRIERS = tuple(
    ipaddress.ip_network(net)
    for net in ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be posted to, as far as its spelling goes."""

    host: str
    port: int
    path: str


def target(url: str) -> Target:
    """Raises WrongUse for anything but a plain https address with a host name."""
    fix = "write https://name/path"
    try:
        parts = urlsplit(url)
        port = parts.port or 443
    except ValueError as error:
        raise WrongUse("that is no address", where="url", fix=fix) from error
    if parts.scheme != "https" or not parts.hostname or not url.isascii() or not url.isprintable():
        raise WrongUse("only https addresses are called", where="url", fix=fix)
    if parts.username or parts.password or parts.fragment or " " in url or "\\" in url:
        raise WrongUse("an address has no password and no fragment", where="url", fix=fix)
    path = parts.path or "/"
    return Target(parts.hostname, port, f"{path}?{parts.query}" if parts.query else path)


def public(address: str) -> bool:
    """Whether an IP address belongs to the public internet."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            return public(str(ip.ipv4_mapped))
        if any(ip in network for network in _CARRIERS):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    allowed: Allowed = public,
    context: ssl.SSLContext | None = None,
) -> int:
    """The status of the answer. Raises OutsideFailure when there is none, WrongUse for an address that may
    not be called."""
    to = target(url)
    ip = _resolved(to, allowed)
    connection = _Pinned(to.host, to.port, ip, context or ssl.create_default_context())
    end = threading.Timer(_WHOLE_SECONDS, connection.cut)
    end.daemon = True
    end.start()
    try:
        connection.request("POST", to.path, body, dict(headers))
        return connection.getresponse().status  # its body is nobody's business
    except (OSError, http.client.HTTPException) as error:
        raise OutsideFailure(
            f"no answer: {type(error).__name__}", where=to.host, transient=True
        ) from error
    finally:
        end.cancel()
        connection.close()


def _resolved(to: Target, allowed: Allowed) -> str:
    """The one address that the connection goes to. All that the name stands for have to be public: one
    that is not says that somebody is playing."""
    try:
        found = socket.getaddrinfo(to.host, to.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise OutsideFailure("that name is not known", where=to.host, transient=True) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(allowed(address) for address in addresses):
        raise WrongUse("that name leads into a private network", where=to.host)
    return addresses[0]


class _Pinned(http.client.HTTPSConnection):
    """Goes to the address that was looked at, whatever the name says a moment later."""

    def __init__(self, host: str, port: int, ip: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=_SECONDS, context=context)
        self._ip, self._tls = ip, context

    def connect(self) -> None:
        plain = socket.create_connection((self._ip, self.port), _SECONDS)
        try:
            self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        except BaseException:
            plain.close()
            raise

    def cut(self) -> None:
        """End it from another thread: whoever waits for it sees that it broke."""
        if self.sock is not None:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)
