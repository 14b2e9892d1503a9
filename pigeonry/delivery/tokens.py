"""How signed tokens are spelled: lower-case base32 in one piece, read tolerantly, one spelling each."""

from __future__ import annotations

import base64
import binascii
import re
from urllib.parse import unquote

_MOST_DECODES = 3  # a link rewritten by a mail client may be percent-encoded more than once


def spell(raw: bytes) -> str:
    """Survives upper-casing and looks like no word."""
    return base64.b32encode(raw).decode("ascii").rstrip("=").lower()


def read(text: str, size: int) -> bytes | None:
    """The `size` bytes of the last thing in a text that has such a token's length and letters.

    Upper case, percent-encoding, `&amp;`, brackets around it and words before it do no harm.
    """
    text = text[:4096]
    for _ in range(_MOST_DECODES):
        decoded = unquote(text)
        if decoded == text:
            break
        text = decoded
    length = -(-size * 8 // 5)
    found = re.findall(rf"(?<![a-z0-9])[a-z2-7]{{{length}}}(?![a-z0-9])", text.lower())
    if not found:
        return None
    letters = found[-1].upper()
    try:
        raw = base64.b32decode(letters + "=" * (-len(letters) % 8))
    except binascii.Error:
        return None
    # The last character has spare bits: only one spelling of a token is ours.
    return raw if spell(raw).upper() == letters else None
