"""Evidence of the exception for existing customers (Romanian Law 506/2004 art. 12(2)): an address that was
got with a sale may be used for similar own products, if a way out was offered then and in every mail.

Written as `name=value` parts between semicolons, in English or Romanian:
`bought=drawing course; on=2026-03-01; similar=other courses; opt-out=yes`.
"""

from __future__ import annotations

import json
from datetime import datetime

from audience import values
from audience.folding import fold

_NAMES = {
    "bought": "bought", "cumparat": "bought", "a cumparat": "bought", "produs": "bought",
    "on": "on", "data": "on", "la": "on", "pe": "on",
    "similar": "similar", "similare": "similar", "produse similare": "similar",
    "opt out": "opt-out", "optout": "opt-out", "dezabonare": "opt-out", "unsubscribe": "opt-out",
}  # fmt: skip
NEEDED = {
    "bought": "what was bought (bought=)",
    "on": "when (on=)",
    "similar": "which similar products of yours it is about (similar=)",
    "opt-out": "that a way out was offered at the sale (opt-out=yes)",
}
_OFFERED = frozenset({"oferita", "oferit", "offered"})


def parts(text: str) -> dict[str, str]:
    """The named parts of a text; anything else in it is left out."""
    found = {}
    for piece in text.split(";"):
        name, equals, value = piece.partition("=")
        known = _NAMES.get(fold(name))
        if equals and known and value.strip():
            found[known] = value.strip()[:200]
    return found


def proof(given: dict[str, str], now: datetime) -> tuple[str, str]:
    """(the evidence as JSON, what is missing or impossible in words); one of them is ""."""
    wrong = [words for name, words in NEEDED.items() if not given.get(name)]
    if given.get("on") and values.past(given["on"], now) is not True:
        wrong.append("a day of the sale that exists and is past")
    offered = given.get("opt-out", "")
    if offered and values.yes(offered) is not True and fold(offered) not in _OFFERED:
        wrong.append(NEEDED["opt-out"])
    if wrong:
        return "", ", ".join(wrong)
    return json.dumps({name: given[name] for name in NEEDED}, ensure_ascii=False), ""
