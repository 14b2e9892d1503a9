"""How much, how long and how often: limits inside the app, whatever stands in front of it."""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

from starlette.datastructures import FormData
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

BODY_SECONDS = 20.0  # for a whole body; 5 MB in that time is a slow line
FORM_BYTES = 64_000
_DISCARDED = 20_000_000  # bytes too many that are read before the answer
_FIELDS = 60
_MOST_KEYS = 20_000


class Turned(Exception):
    """A request that is turned away: what it is told, and what the operator sees it counted as."""

    def __init__(self, status: int, detail: str, *, reason: str, retry_after: int = 0) -> None:
        self.status = status
        self.detail = detail
        self.reason = reason
        self.retry_after = retry_after
        super().__init__(detail)


class Budget:
    """Bytes of bodies that one kind of sender may have in this process at once."""

    def __init__(self, size: int) -> None:
        self.left = size

    @asynccontextmanager
    async def body(self, request: Request, most: int) -> AsyncIterator[bytes]:
        """The request's body, for as long as it is needed. Raises Turned: 413 for one that is too
        large, 408 for one that is too slow, 415 for a packed one, 503 when too many come at once."""
        packed = request.headers.get("content-encoding", "identity").lower()
        if packed != "identity":
            raise Turned(415, "send the body unpacked", reason="packed")
        declared = request.headers.get("content-length", "")
        size = int(declared[:15]) if declared.isascii() and declared.isdigit() else most
        size = min(size, most)  # what is longer is not kept
        if size > self.left:
            raise Turned(503, "too much at once, come again", reason="busy", retry_after=5)
        self.left -= size
        try:
            yield await _read(request, most)
        finally:
            self.left += size


async def _read(request: Request, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size <= most:
                    parts.append(part)
                elif size > most + _DISCARDED:
                    break
                else:  # who is still writing would not read an answer
                    parts.clear()
    except TimeoutError as error:
        raise Turned(408, "the body took too long", reason="too_slow") from error
    except ClientDisconnect as error:
        raise Turned(400, "the body ended early", reason="broken_off") from error
    if size > most:
        raise Turned(413, f"a body may have {most:,} bytes", reason="too_large")
    return b"".join(parts)


async def form(request: Request, body: bytes, *, fields: int = _FIELDS) -> FormData:
    """At most so many fields of a posted form, without files. Raises Turned (400) for what is none."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def stream() -> AsyncGenerator[bytes, None]:
        yield body
        yield b""

    try:
        if kind == "application/x-www-form-urlencoded":
            return await FormParser(
                request.headers, stream(), max_fields=fields, max_part_size=FORM_BYTES
            ).parse()
        if kind == "multipart/form-data":
            return await MultiPartParser(
                request.headers, stream(), max_files=0, max_fields=fields
            ).parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise Turned(400, "not a form that can be read", reason="bad_form") from error
    raise Turned(400, "send a form", reason="bad_form")


class Rate:
    """So many in a stretch of time for each key; the oldest keys are forgotten."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, key: str, *, most: int, seconds: float) -> bool:
        """Whether one more is within `most` in `seconds`; refills steadily."""
        now = self._now()
        left, at = self._seen.pop(key, (float(most), now))
        left = min(float(most), left + (now - at) * most / seconds)
        allowed = left >= 1
        self._seen[key] = (left - 1 if allowed else left, now)
        if len(self._seen) > _MOST_KEYS:
            self._seen.popitem(last=False)
        return allowed


def network(ip: str) -> str:
    """What counts as one visitor: an IPv4 address, or the /64 that one IPv6 household has."""
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return ip
    if address.version == 6:
        return str(ipaddress.ip_network(f"{address}/64", strict=False))
    return ip
