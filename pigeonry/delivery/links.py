"""Signed unsubscribe links: which lead, which campaign, and nothing that a stranger could read or forge.

Knows how a token is made and checked; what happens after it is somebody else's.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from pigeonry.config import Home

_KEY_FILE = "links-{}.key"
_TAG = 16  # bytes, 128 bits
_MOST_DECODES = 3  # a link rewritten by a mail client may be percent-encoded more than once


@dataclass(frozen=True, slots=True)
class UnsubscribeToken:
    lead_id: int
    campaign_id: int
    key_id: int


@dataclass(frozen=True, slots=True)
class Links:
    """Makes and checks links. `keys` are root secrets by number; the highest signs, all verify."""

    base_url: str
    keys: Mapping[int, bytes]

    def unsubscribe_token(self, lead_id: int, campaign_id: int) -> str:
        """Lower-case base32, 44 characters: survives upper-casing and looks like no word."""
        key_id = max(self.keys)
        body = bytes((key_id,)) + lead_id.to_bytes(6, "big") + campaign_id.to_bytes(4, "big")
        return _text(body + self._tag(key_id, body))

    def unsubscribe_url(self, lead_id: int, campaign_id: int) -> str:
        return f"{self.base_url.rstrip('/')}/u/{self.unsubscribe_token(lead_id, campaign_id)}"

    def unsubscribe_mailto(self, mailbox: str, lead_id: int, campaign_id: int) -> str:
        """For List-Unsubscribe: a mail whose subject carries the token."""
        token = self.unsubscribe_token(lead_id, campaign_id)
        return f"mailto:{quote(mailbox, safe='@.+-_')}?subject=unsubscribe%20{token}"

    def verify(self, token: str) -> UnsubscribeToken | None:
        """The token's content, or None for anything that we did not sign.

        Tolerant in reading (upper case, `&amp;` and the like, percent-encoding, surrounding brackets,
        words before the token), strict in the signature, in constant time.
        """
        raw = _bytes(token)
        if raw is None:
            return None
        body, tag = raw[:-_TAG], raw[-_TAG:]
        key_id = body[0]
        known = key_id in self.keys
        expected = self._tag(key_id if known else max(self.keys), body)
        if not hmac.compare_digest(expected, tag) or not known:
            return None
        return UnsubscribeToken(
            lead_id=int.from_bytes(body[1:7], "big"),
            campaign_id=int.from_bytes(body[7:11], "big"),
            key_id=key_id,
        )

    def _tag(self, key_id: int, body: bytes) -> bytes:
        # A key of its own for this purpose, so that no other signature of ours can be replayed here.
        purpose = hmac.digest(self.keys[key_id], b"pigeonry unsubscribe v1", hashlib.sha256)
        return hmac.digest(purpose, body, hashlib.sha256)[:_TAG]


_SIZE = 1 + 6 + 4 + _TAG
_LENGTH = -(-_SIZE * 8 // 5)  # base32 characters without padding


def load_links(home: Home) -> Links:
    """The home's links. A new signing key is the next number: `<home>/secrets/links-2.key`."""
    keys = {1: home.secret(_KEY_FILE.format(1))}
    for number in range(2, 256):
        path = home.path / "secrets" / _KEY_FILE.format(number)
        if not path.exists():
            break
        keys[number] = path.read_bytes()
    return Links(home.settings.links.base_url, keys)


def _text(raw: bytes) -> str:
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def _bytes(token: str) -> bytes | None:
    """The bytes of the last thing in a text that has a token's length and letters."""
    text = token[:4096]
    for _ in range(_MOST_DECODES):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
    found = re.findall(rf"(?<![a-z0-9])[a-z2-7]{{{_LENGTH}}}(?![a-z0-9])", text.lower())
    if not found:
        return None
    letters = found[-1].upper()
    try:
        raw = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except binascii.Error:
        return None
    # The last character has spare bits: only one spelling of a token is ours.
    return raw if _text(raw).upper() == letters else None
