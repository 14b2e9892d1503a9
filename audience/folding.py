"""One spelling for words that people write in many: no accents, no case, no punctuation."""

from __future__ import annotations

import re
import unicodedata

_PUNCTUATION = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """`"  E-Mail_Address "` and `"e mail address"` alike; `"Țară"` and `"tara"` alike."""
    flat = text.casefold()
    if flat.isascii():
        return _PUNCTUATION.sub(" ", flat).strip()
    flat = unicodedata.normalize("NFKD", flat)
    flat = "".join(letter for letter in flat if not unicodedata.combining(letter))
    return _PUNCTUATION.sub(" ", flat).strip()
