"""Who signed a CRM's webhook: HubSpot's three schemes, Standard Webhooks, and plain passwords.

Everything is compared in constant time, over the raw bytes. Each function takes all secrets of a source,
so that an old and a new one count while they are exchanged; without a secret nothing is ever genuine.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

FRESH = timedelta(minutes=5)  # HubSpot and Standard Webhooks name it; the same ahead, for clocks
V3 = "X-HubSpot-Signature-v3"
V3_TIMESTAMP = "X-HubSpot-Request-Timestamp"
OLDER = "X-HubSpot-Signature"
OLDER_VERSION = "X-HubSpot-Signature-Version"
STANDARD_ID, STANDARD_TIMESTAMP, STANDARD = (
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
)

# What HubSpot decodes in an address before it signs; every other %xx stays as it came.
_DECODED = re.compile("%(3A|2F|3F|40|21|24|27|28|29|2A|2C|3B)", re.IGNORECASE)
_DIGITS = re.compile(r"[0-9]{1,15}")
_MOST_SIGNATURES = 20  # of one request, during a change of secrets


def secrets(text: str) -> tuple[bytes, ...]:
    """The secrets of a setting, one a line or between commas."""
    parts = (part.strip().strip("\"'") for part in re.split(r"[,\n]", text))
    return tuple(part.encode() for part in parts if part)


def lines(text: str) -> tuple[bytes, ...]:
    """The same for passwords, which may have commas: one a line."""
    return tuple(part.strip().encode() for part in text.splitlines() if part.strip())


def hubspot(
    keys: Sequence[bytes],
    headers: Mapping[str, str],
    *,
    method: str,
    uri: str,
    body: bytes,
    now: datetime,
    oldest: str = "v3",
) -> bool:
    """Whether HubSpot signed this request. `uri` is the public address that HubSpot called, with its
    query, as it stood on the wire. A request with a v3 signature is judged by that one alone; without
    one, v2 and v1 count only where `oldest` lets them, because they never grow old."""
    if V3 in headers or oldest == "v3":
        stamp = headers.get(V3_TIMESTAMP, "")
        if not fresh(stamp, now, per_second=1000):
            return False
        message = b"".join((method.encode(), _decoded(uri).encode(), body, stamp.encode("ascii")))
        return _any(headers.get(V3, "").encode(), (_mac(key, message) for key in keys))
    given = headers.get(OLDER, "")
    version = headers.get(OLDER_VERSION, "")
    if version == "v2":
        before = method.encode() + uri.encode()
    elif version == "v1" and oldest == "v1":
        before = b""
    else:
        return False
    # Not an HMAC: their older schemes put the secret in front.
    return _any(given.encode(), (_digest(key + before + body) for key in keys))


def standard(
    keys: Sequence[bytes], headers: Mapping[str, str], *, body: bytes, now: datetime
) -> bool:
    """Whether one of the signatures is ours: `v1,BASE64` over `id.timestamp.body`, with a secret that is
    base64 behind `whsec_` (standardwebhooks.com)."""
    name, stamp = headers.get(STANDARD_ID, ""), headers.get(STANDARD_TIMESTAMP, "")
    if not 0 < len(name) <= 200 or not name.isascii() or "." in name:
        return False
    if not fresh(stamp, now, per_second=1):
        return False
    message = f"{name}.{stamp}.".encode() + body
    wanted = [b"v1," + _mac(key, message) for key in map(_unpacked, keys) if key]
    given = headers.get(STANDARD, "").split()[:_MOST_SIGNATURES]
    found = False
    for one in given:
        found |= _any(one.encode(), wanted)
    return found


def password(accepted: Sequence[bytes], authorization: str) -> bool:
    """HTTP Basic: `user:password` pairs."""
    scheme, _, given = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        pair = base64.b64decode(given.strip(), validate=True)
    except (ValueError, binascii.Error):
        return False
    return _any(pair, accepted)


def token(accepted: Sequence[bytes], given: str) -> bool:
    """A secret in the address, for senders that can sign nothing."""
    return _any(given.encode(), accepted)


def fresh(stamp: str, now: datetime, *, per_second: int) -> bool:
    """Whether a time in whole (milli)seconds is within five minutes of now."""
    if not _DIGITS.fullmatch(stamp):
        return False
    return abs(now.timestamp() - int(stamp) / per_second) <= FRESH.total_seconds()


def _decoded(uri: str) -> str:
    return _DECODED.sub(lambda found: chr(int(found[1], 16)), uri)


def _mac(key: bytes, message: bytes) -> bytes:
    return base64.b64encode(hmac.digest(key, message, "sha256"))


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest().encode()


def _unpacked(key: bytes) -> bytes:
    """The bytes of a `whsec_` secret; b"" for what is none, which signs nothing."""
    try:
        return base64.b64decode(key.removeprefix(b"whsec_"), validate=True)
    except (ValueError, binascii.Error):
        return b""


def _any(given: bytes, wanted: Iterable[bytes]) -> bool:
    """Compared with all of them, so that the time tells nothing."""
    found = False
    for one in wanted:
        found |= hmac.compare_digest(given, one)
    return found
