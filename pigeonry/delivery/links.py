"""Signed unsubscribe links: which lead, which campaign, and nothing that a stranger could read or forge.

Knows how a token is made and checked; what happens after it is somebody else's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from pigeonry.config import Home
from pigeonry.delivery import tokens

_KEY_FILE = "links-{}.key"
_TAG = 16  # bytes, 128 bits
_SIZE = 1 + 6 + 4 + _TAG
_PURPOSE = b"pigeonry unsubscribe v1"


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
        return tokens.spell(body + tag(self.keys[key_id], _PURPOSE, body))

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
        body = signed(tokens.read(token, _SIZE), self.keys, _PURPOSE)
        if body is None:
            return None
        return UnsubscribeToken(
            lead_id=int.from_bytes(body[1:7], "big"),
            campaign_id=int.from_bytes(body[7:11], "big"),
            key_id=body[0],
        )


def tag(root: bytes, purpose: bytes, body: bytes) -> bytes:
    """The signature of a token. Each purpose has a key of its own, derived from the root, so that no
    signature of ours can be replayed for another."""
    key = hmac.digest(root, purpose, hashlib.sha256)
    return hmac.digest(key, body, hashlib.sha256)[:_TAG]


def signed(raw: bytes | None, keys: Mapping[int, bytes], purpose: bytes) -> bytes | None:
    """The body of a token (key id first, tag last) that we signed for this purpose; in constant time."""
    if raw is None:
        return None
    body, given = raw[:-_TAG], raw[-_TAG:]
    known = body[0] in keys
    expected = tag(keys[body[0] if known else max(keys)], purpose, body)
    return body if hmac.compare_digest(expected, given) and known else None


def root_keys(home: Home) -> dict[int, bytes]:
    """Roots by number. A new signing key is the next number: `<home>/secrets/links-2.key`."""
    keys = {1: home.secret(_KEY_FILE.format(1))}
    for number in range(2, 256):
        path = home.path / "secrets" / _KEY_FILE.format(number)
        if not path.exists():
            break
        keys[number] = path.read_bytes()
    return keys


def load_links(home: Home) -> Links:
    """The home's links, signed with its newest root."""
    return Links(home.settings.links.base_url, root_keys(home))
