"""What leads of a group have in common, counted: shares of values inside the group and among all.

Pure. A value enters only when enough leads share it, so that none can point at a person.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audience.profile import TERM

_SHARED_BY = 5  # leads of the group; what fewer have in common may say who they are
_LEAST = 0.03  # share of the group
_KEPT = 12


@dataclass(frozen=True, slots=True)
class Trait:
    """`value` is "" for a yes to the column. `inside` and `overall` are fractions of leads."""

    column: str
    value: str
    inside: float
    overall: float


def traits(
    terms: Sequence[Sequence[str]], groups: Sequence[int | None]
) -> Mapping[int, tuple[Trait, ...]]:
    """Traits of each group, what sets it apart most first. `terms` ("column: value") are aligned with
    `groups`; leads without a group count among all."""
    total: Counter[str] = Counter()
    inside: dict[int, Counter[str]] = {}
    sizes: Counter[int] = Counter()
    for own, group in zip(terms, groups, strict=True):
        said = set(own)
        total.update(said)
        if group is not None:
            sizes[group] += 1
            inside.setdefault(group, Counter()).update(said)
    everybody = len(terms)
    return {group: _of(counts, sizes[group], total, everybody) for group, counts in inside.items()}


def _of(counts: Counter[str], size: int, total: Counter[str], everybody: int) -> tuple[Trait, ...]:
    found = []
    for term, number in counts.items():
        if number >= _SHARED_BY and number / size >= _LEAST:
            column, _, value = term.partition(TERM)
            found.append(Trait(column, value, number / size, total[term] / everybody))
    found.sort(key=lambda t: (-(t.inside - t.overall), -t.inside, t.column, t.value))
    return tuple(found[:_KEPT])
