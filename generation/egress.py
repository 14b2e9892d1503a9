"""The gate in front of every model: a request that holds personal data is refused, and what was found
is named by its kind, never by its value."""

from __future__ import annotations

import base64
import binascii
import html
import re
import unicodedata
from collections.abc import Collection, Iterable
from urllib.parse import unquote_plus

from pigeonry.errors import Refused

SHORTEST = 4  # characters of a supplied value; shorter ones ("Ion") meet ordinary words too often
_EMAIL = re.compile(r"[^\s@<>\"',;:()]+@[^\s@<>\"',;:()]+\.[a-z]{2,}", re.IGNORECASE)
_PHONE = re.compile(r"(?<![\w+])(?:(?:\+|00)\d[\d\s().-]{7,16}\d|0[2-7]\d[\d\s.-]{5,9}\d)(?!\w)")
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:\s?[A-Z0-9]{4}){3,7}(?:\s?[A-Z0-9]{1,3})?(?!\w)")
_CNP = re.compile(r"(?<!\d)[1-9]\d{12}(?!\d)")
_CNP_WEIGHTS = (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)
_BASE64 = re.compile(r"(?<![\w+/=])[A-Za-z0-9+/_-]{8,}={0,2}(?![\w+/=])")


class EgressRefused(Refused):
    """A request held personal data. `kind` is e-mail, phone, IBAN, CNP or a known value."""

    code = "egress"

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(
            f"the request holds personal data ({kind}) and was not sent",
            where="prompt",
            fix="take it out of the brief or of the segment's description",
        )


def refuse_personal(texts: Iterable[str], values: Collection[str] = ()) -> None:
    """Raise EgressRefused when a text, plain or encoded, holds a detectable or a supplied value."""
    known = {_normal(value) for value in values if len(value.strip()) >= SHORTEST}
    for text in texts:
        for form in _forms(text):
            if kind := _detected(form):
                raise EgressRefused(kind)
            normal = _normal(form)
            if any(_within(value, normal) for value in known):
                raise EgressRefused("a known value")


def _detected(text: str) -> str:
    if _EMAIL.search(text):
        return "e-mail"
    if any(_valid_cnp(match.group()) for match in _CNP.finditer(text)):
        return "CNP"
    if any(_valid_iban(match.group()) for match in _IBAN.finditer(text)):
        return "IBAN"
    if any(9 <= sum(c.isdigit() for c in match.group()) <= 15 for match in _PHONE.finditer(text)):
        return "phone"
    return ""


def _forms(text: str) -> set[str]:
    """The text and what hides in it behind URL, HTML or base64 encoding."""
    forms = {text, unquote_plus(text), html.unescape(text), unicodedata.normalize("NFKC", text)}
    for match in _BASE64.finditer(text):
        try:
            padded = match.group().rstrip("=") + "=" * (-len(match.group().rstrip("=")) % 4)
            forms.add(base64.b64decode(padded, altchars=b"-_").decode())
        except (binascii.Error, ValueError):
            continue
    return forms


def _normal(text: str) -> str:
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(c for c in folded if not unicodedata.combining(c)).split())


def _within(value: str, text: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(value)}(?!\w)", text))


def _valid_cnp(digits: str) -> bool:
    rest = sum(int(d) * w for d, w in zip(digits[:12], _CNP_WEIGHTS, strict=True)) % 11
    return int(digits[12]) == (1 if rest == 10 else rest)


def _valid_iban(text: str) -> bool:
    bare = re.sub(r"\s", "", text)
    moved = bare[4:] + bare[:4]
    return int("".join(str(int(c, 36)) for c in moved)) % 97 == 1
