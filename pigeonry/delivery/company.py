"""A Romanian company's numbers, as its commercial mails have to name them (Law 365/2002 art. 5, Law 31/1990
art. 74): whether they can be right."""

from __future__ import annotations

import re

_CUI_KEY = (7, 5, 3, 2, 1, 7, 5, 3, 2)
_COUNTIES = frozenset({*range(1, 41), 51, 52})
_OLD = re.compile(r"[JFC]\s*(\d{1,2})\s*/\s*(\d{1,7})\s*/\s*((?:19|20)\d\d)", re.IGNORECASE)
# Since 26 July 2024: letter, year, six digits, county or "any", a digit of control.
_NEW = re.compile(r"[JFC]\s*((?:19|20)\d\d)\d{9}", re.IGNORECASE)


def cui_problem(text: str) -> str:
    """Why this is no CUI (fiscal code, with or without RO), "" when it can be one.

    The last digit is the weighted sum of those before it, times ten, modulo 11, modulo 10 (Emergency
    Ordinance 102/1999).
    """
    digits = re.sub(r"^RO", "", text.replace(" ", "").upper())
    if not re.fullmatch(r"[1-9]\d{1,9}", digits):
        return f"{text!r} is no CUI: 2 to 10 digits, with or without RO before them"
    body = digits[:-1].zfill(9)
    total = sum(int(digit) * weight for digit, weight in zip(body, _CUI_KEY, strict=True))
    if total * 10 % 11 % 10 != int(digits[-1]):
        return f"{text!r} is no CUI: its last digit does not fit the others"
    return ""


def register_problem(text: str) -> str:
    """Why this is no number of the trade register, "" when it can be one."""
    old, new = _OLD.fullmatch(text.strip()), _NEW.fullmatch(text.strip())
    if new or (old and int(old[1]) in _COUNTIES):
        return ""
    if old:
        return f"{text!r} is no trade register number: there is no county {old[1]}"
    return f"{text!r} is no trade register number like J08/123/2019 or J2024000123004"
