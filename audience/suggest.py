"""What each column of a file might be, by its name and by what stands in it, and how sure that is. A suggestion
for a person who looks at it: `audience.headers` alone decides what an import does without one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from audience import values
from audience.aliases import ALIASES, Field
from audience.countries import country_code
from audience.folding import fold
from audience.headers import claim

_NEAR = 0.86  # likeness of two names below which they are two names
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+\Z")
_PHONE = re.compile(r"\+?[\d\s().\-/]{9,20}\Z")
_NAMES = {alias: field for field, aliases in ALIASES.items() for alias in aliases}
# Wrongly guessed, these would let people be mailed who must not be: only their own names count.
_STRICT = frozenset({Field.CONSENT, Field.CONSENT_SOURCE, Field.CONSENT_DATE, Field.MEMBER_STATUS})


class Why(StrEnum):
    NAME = "name"  # one of the names that people and CRM exports use
    LIKE = "like"  # nearly such a name
    CELLS = "cells"  # what stands in the column
    NONE = "none"  # nothing speaks for a field: it is kept under its own name


@dataclass(frozen=True, slots=True)
class Suggestion:
    """`confidence` is a fraction; of an attribute it says how sure it is that it is nothing else."""

    field: Field
    confidence: float
    why: Why


def suggest(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Suggestion]:
    """One suggestion for each column, from its name and its cells in the first rows."""
    return [
        _suggest(name, [row[index] for row in rows if index < len(row)])
        for index, name in enumerate(header)
    ]


def _suggest(name: str, cells: Sequence[str]) -> Suggestion:
    stated = [cell.strip() for cell in cells if cell.strip()]
    folded = fold(name)
    field, rank = claim(folded)
    if field is not Field.ATTRIBUTE:
        sure = 1.0 if rank == 0 else 0.95
        look = _LOOKS.get(field)
        if look is not None and stated and _share(look, stated) < 0.5:
            sure = 0.6  # the name says so, and what stands there does not
        return Suggestion(field, sure, Why.NAME)
    for candidate, look in _LOOKS.items():
        share = _share(look, stated)
        if len(stated) >= 3 and share >= 0.6:
            return Suggestion(candidate, round(0.9 * share, 2), Why.CELLS)
    near = get_close_matches(folded, _NAMES, 1, _NEAR) if len(folded) > 3 else []
    if near and _NAMES[near[0]] not in _STRICT:
        return Suggestion(_NAMES[near[0]], 0.7, Why.LIKE)
    return Suggestion(Field.ATTRIBUTE, 0.5, Why.NONE)


def _share(look: Callable[[str], bool], cells: Sequence[str]) -> float:
    return sum(map(look, cells)) / len(cells) if cells else 0.0


_LOOKS: dict[Field, Callable[[str], bool]] = {
    Field.EMAIL: lambda cell: _EMAIL.match(cell) is not None,
    Field.PHONE: lambda cell: _PHONE.match(cell) is not None and sum(map(str.isdigit, cell)) >= 9,
    Field.TIMEZONE: lambda cell: "/" in cell and bool(values.timezone(cell)),
    Field.COUNTRY: lambda cell: bool(country_code(cell)),
}
