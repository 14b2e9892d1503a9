"""Which column is which field: by the names that people and CRM exports use, or as the user says.

Every column that is no field stays an attribute under its own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from audience.aliases import ALIASES, SHARED, Field
from audience.folding import fold
from pigeonry.errors import BadInput, WrongUse

MAX_COLUMNS = 1000  # what HubSpot takes; more is a broken delimiter or line end


_RANKS = {
    alias: (field, rank) for field, aliases in ALIASES.items() for rank, alias in enumerate(aliases)
}
# HubSpot names each subscription type: "Opted out of email: One to One", "hs_email_optout_12345".
_OPT_OUTS = re.compile(r"(?:opted out of email|hs email optout)\b")
_PREFIXES = re.compile(r"(?:property|contact|person|lead|subscriber|client)\s+(?=\S)")


@dataclass(frozen=True, slots=True)
class Columns:
    """`fields[i]` is what column i is; `names[i]` how it is called. `notes` are for the user."""

    names: tuple[str, ...]
    fields: tuple[Field, ...]
    notes: tuple[str, ...]

    def columns(self, field: Field) -> tuple[int, ...]:
        return tuple(index for index, found in enumerate(self.fields) if found is field)

    def column(self, field: Field) -> int:
        """The one column of a field that only one may claim, or -1."""
        found = self.columns(field)
        return found[0] if found else -1


def known(header: Sequence[str]) -> bool:
    """Whether a header has a column that is an e-mail address by its name."""
    return any(claim(fold(name))[0] is Field.EMAIL for name in header)


def map_columns(
    header: Sequence[str], overrides: Mapping[str, str], *, where: str, need_email: bool = True
) -> Columns:
    """Decide every column. `overrides` maps a column (its name, or #3 for the third) to a Field.

    Raises BadInput for a header that cannot be used (no address, two alike, too many), WrongUse for an
    override that names no column or no field; both list what is there.
    """
    if len(header) > MAX_COLUMNS:
        raise BadInput(
            f"{len(header):,} columns, and at most {MAX_COLUMNS:,} are taken",
            where=f"{where}, line 1",
            fix="check the delimiter and the line ends, or export fewer columns",
        )
    names = _names(header)
    forced = _forced(names, overrides, where)
    _refuse_data(names, where)
    _refuse_twins(names, forced, where)
    fields = [forced.get(index, Field.ATTRIBUTE) for index in range(len(names))]
    notes: list[str] = []
    claims: dict[Field, list[tuple[int, int]]] = {}
    for index, name in enumerate(names):
        field, rank = claim(fold(name))
        if index in forced or field is Field.ATTRIBUTE:
            continue
        if field in SHARED:
            fields[index] = field
        elif field not in forced.values():
            claims.setdefault(field, []).append((rank, index))
    for field, found in claims.items():
        found.sort()
        if len(found) > 1:
            said = ", ".join(f"{names[index]!r} (column {index + 1})" for _, index in found)
            if field is Field.EMAIL and _same_rank(found):
                raise BadInput(
                    f"several columns could be the e-mail address: {said}",
                    where=f"{where}, line 1",
                    fix=f"say which: --map '{names[found[0][1]]}=email'",
                )
            notes.append(
                f"{field.value}: {said}; the first is used, the others are kept as attributes"
            )
        fields[found[0][1]] = field
    if {Field.FIRST_NAME, Field.LAST_NAME, Field.FULL_NAME} <= set(fields):
        fields[fields.index(Field.FULL_NAME)] = Field.ATTRIBUTE
    if need_email and Field.EMAIL not in fields:
        raise BadInput(
            "no column holds the e-mail address",
            where=f"{where}, line 1",
            fix=f"say which it is: --map 'COLUMN=email'; the columns are {_listed(names)}",
        )
    return Columns(tuple(names), tuple(fields), tuple(notes))


def claim(name: str) -> tuple[Field, int]:
    """The field that a folded name stands for, and how good a name it is (0 is best)."""
    found = _RANKS.get(name) or _RANKS.get(_PREFIXES.sub("", name, count=1))
    if found is None and _OPT_OUTS.match(name):
        return Field.DO_NOT_MAIL, 0
    return found or (Field.ATTRIBUTE, 0)


def _same_rank(found: Sequence[tuple[int, int]]) -> bool:
    """Whether the two best names are equally good: the plain ones are all as good as each other, a
    `work email` beside an `email` is clearly the second."""
    plain = ALIASES[Field.EMAIL].index("primary email")
    first, second = found[0][0], found[1][0]
    return (first < plain) == (second < plain)


def _names(header: Sequence[str]) -> list[str]:
    return [
        " ".join(name.split())[:200] or f"column {index + 1}" for index, name in enumerate(header)
    ]


def _forced(names: Sequence[str], overrides: Mapping[str, str], where: str) -> dict[int, Field]:
    forced: dict[int, Field] = {}
    for column, wanted in overrides.items():
        index = _find(names, column, where)
        try:
            field = Field(fold(wanted).replace(" ", "_"))
        except ValueError as error:
            raise WrongUse(
                f"{wanted!r} is no field{_nearest(wanted, [field.value for field in Field])}",
                where=f"--map {column}={wanted}",
                fix=f"fields are {', '.join(field.value for field in Field)}",
            ) from error
        if field not in SHARED and field in forced.values():
            raise WrongUse(
                f"two columns are mapped to {field.value}",
                where=f"--map {column}={wanted}",
                fix="map one of them to attribute or to ignore",
            )
        forced[index] = field
    return forced


def _find(names: Sequence[str], column: str, where: str) -> int:
    if column.startswith("#") and column[1:].isdecimal() and 1 <= int(column[1:]) <= len(names):
        return int(column[1:]) - 1
    exact = [index for index, name in enumerate(names) if name == column.strip()]
    alike = exact or [index for index, name in enumerate(names) if fold(name) == fold(column)]
    if len(alike) == 1:
        return alike[0]
    if alike:
        raise WrongUse(
            f"{len(alike)} columns are called {column!r}",
            where=where,
            fix=f"give its number: --map '#{alike[0] + 1}=...'",
        )
    raise WrongUse(
        f"there is no column {column!r}{_nearest(column, names)}",
        where=where,
        fix=f"the columns are {_listed(names)}",
    )


def _refuse_data(names: Sequence[str], where: str) -> None:
    """A file without a header: its first row holds an address."""
    if any(re.fullmatch(r"[^\s@]+@[^\s@]+\.[^\s@]+", name) for name in names):
        raise BadInput(
            "the first line is a row of data, not the names of the columns",
            where=f"{where}, line 1",
            fix="add a first line with a name for each column, one of them email",
        )


def _refuse_twins(names: Sequence[str], forced: Mapping[int, Field], where: str) -> None:
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        if forced.get(index) is Field.IGNORE:
            continue
        first = seen.setdefault(name, index)
        if first != index and (first not in forced or index not in forced):
            raise BadInput(
                f"two columns are called {name!r} (columns {first + 1} and {index + 1})",
                where=f"{where}, line 1",
                fix=f"rename one, or drop one with --map '#{index + 1}=ignore'",
            )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name[:40]) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _nearest(name: str, candidates: Sequence[str]) -> str:
    close = get_close_matches(name, candidates, 1, 0.6)
    return f" (did you mean {close[0]!r}?)" if close else ""
