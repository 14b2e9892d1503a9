"""Who signed a webhook: ECDSA over P-256 and SHA-256, as SendGrid signs, over timestamp and raw bytes."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime, timedelta
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

AHEAD = timedelta(minutes=5)  # how far a sender's clock may run ahead of ours
LATE = timedelta(minutes=5)  # what is older is marked as late
# SendGrid repeats for 24 hours and does not say whether it signs each repeat anew; an outage of ours
# comes on top. What came before is known by its event ids.
OLDEST = timedelta(hours=72)

_PEM = re.compile(r"-----(?:BEGIN|END) PUBLIC KEY-----")
_SECONDS = re.compile(r"[0-9]{1,12}")


@lru_cache(8)
def public_keys(text: str) -> tuple[EllipticCurvePublicKey, ...]:
    """The keys of a setting: base64 of SPKI, one a line or between commas, or PEM. What is no P-256 key
    is left out, so that it can never let anything in."""
    found = []
    parts = _PEM.split(text) if _PEM.search(text) else re.split(r"[,\n]", text)
    for part in parts:
        letters = "".join(part.split()).strip(",\"'")
        try:
            key = load_der_public_key(base64.b64decode(letters, validate=True))
        except (ValueError, binascii.Error, TypeError):
            continue
        if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
            found.append(key)
    return tuple(found)


def signed_by(
    keys: tuple[EllipticCurvePublicKey, ...], *, timestamp: str, body: bytes, signature: str
) -> bool:
    """Whether one of the keys signed these very bytes at that time."""
    try:
        der = base64.b64decode(signature, validate=True)
        signed = timestamp.encode("ascii") + body
    except (ValueError, binascii.Error):
        return False
    for key in keys:
        try:
            key.verify(der, signed, ECDSA(SHA256()))
        except InvalidSignature:
            continue
        return True
    return False


def age(timestamp: str, now: datetime) -> timedelta | None:
    """How old a signature is, or None when its time makes no sense or lies outside what is taken."""
    if not _SECONDS.fullmatch(timestamp):
        return None
    seconds = now.timestamp() - int(timestamp)
    if not -AHEAD.total_seconds() <= seconds <= OLDEST.total_seconds():
        return None
    return timedelta(seconds=seconds)
