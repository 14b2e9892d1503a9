"""Names and short descriptions of segments from the terms that set them apart.

Pure. A term enters only when enough leads share it, so that no name can point at a person.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from audience.folding import fold
from audience.profile import TERM, telling

GENERAL = "General audience"
_SHOWN = 3  # terms of a name
_KEPT = 8  # terms of a segment
_TYPICAL = 0.12  # share of a segment that makes a term typical of it
_SURE = 2.0  # z-score of the log-odds below which a difference may be chance
_PRIOR = 0.5  # pseudo-counts for each side of the log-odds


@dataclass(frozen=True, slots=True)
class Naming:
    """What a segment is called. `terms` are the bare values, most telling first."""

    name: str
    description: str
    terms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Telling:
    column: str
    value: str
    inside: float  # share of the segment
    overall: float
    z: float


def name_segments(
    terms: Sequence[Sequence[str]], labels: Sequence[int], clusters: int
) -> tuple[Naming, ...]:
    """Name every cluster 0..clusters-1 from the terms ("column: value") of its leads.

    Terms are ranked by the z-score of their log-odds against all other leads (Monroe, Colaresi and
    Quinn 2008, with a flat prior), weighted by how much their column says. Names are unique.
    """
    inside: list[Counter[tuple[str, str]]] = [Counter() for _ in range(clusters)]
    sizes = [0] * clusters
    for label, own in zip(labels, terms, strict=True):
        sizes[label] += 1
        inside[label].update(_candidates(own))
    total: Counter[tuple[str, str]] = Counter()
    for counts in inside:
        total.update(counts)
    leads = sum(sizes)
    shared_by = 5 if leads >= 100 else 2
    taken: set[str] = set()
    names = []
    for counts, size in zip(inside, sizes, strict=True):
        weighed = [
            _weigh(term, count, size, total[term], leads)
            for term, count in counts.items()
            if count >= shared_by
        ]
        naming = _named(weighed, taken)
        taken.add(fold(naming.name))
        names.append(naming)
    return tuple(names)


def _candidates(terms: Iterable[str]) -> set[tuple[str, str]]:
    parted = (term.partition(TERM) for term in terms)
    return {(column, value) for column, _, value in parted}  # no value: a yes to the column


def _weigh(term: tuple[str, str], count: int, size: int, overall: int, leads: int) -> _Telling:
    outside, others = overall - count, leads - size
    odds = math.log((count + _PRIOR) / (size - count + _PRIOR))
    odds -= math.log((outside + _PRIOR) / (others - outside + _PRIOR)) if others else 0.0
    spread = math.sqrt(1 / (count + _PRIOR) + 1 / (outside + _PRIOR))
    return _Telling(term[0], term[1], count / size, overall / leads, odds / spread)


def _named(terms: list[_Telling], taken: set[str]) -> Naming:
    """The most telling typical terms, of different columns as far as there are; when none is both,
    the commonest."""
    typical = [t for t in terms if t.inside >= _TYPICAL and t.z > _SURE]
    typical.sort(key=lambda t: (-t.z * math.sqrt(t.inside) * telling(t.column), t.column, t.value))
    common = sorted(terms, key=lambda t: (-t.inside * telling(t.column), t.column, t.value))
    rest = [t for t in terms if t.z > _SURE and t not in typical]
    rest.sort(key=lambda t: (-t.z, t.column, t.value))
    ranked = _distinct(typical + ([] if typical else common) + rest)
    if not ranked:
        return Naming(
            _unique([GENERAL], taken), "Nothing that sets these leads apart is known.", ()
        )
    chosen: list[_Telling] = []
    for telling_term in ranked:
        if len(chosen) < _SHOWN and all(telling_term.column != c.column for c in chosen):
            chosen.append(telling_term)
    chosen += [t for t in ranked if t not in chosen][: max(0, 2 - len(chosen))]
    words = [_words(t) for t in chosen]
    spare = [_words(t) for t in ranked if t not in chosen]
    described = chosen + [t for t in ranked if t not in chosen]
    return Naming(
        _unique(words, taken, spare),
        "; ".join(_describe(t) for t in described[:4]) + ".",
        tuple(_words(t) for t in described[:_KEPT]),
    )


def _distinct(ranked: list[_Telling]) -> list[_Telling]:
    """Without a term whose words an earlier one has said already."""
    kept: list[_Telling] = []
    said: list[set[str]] = []
    for term in ranked:
        words = set(fold(_words(term)).split())
        if words and not any(words <= before or before <= words for before in said):
            kept.append(term)
            said.append(words)
    return kept


def _words(term: _Telling) -> str:
    return term.value or term.column


def _describe(term: _Telling) -> str:
    what = f"{term.column}: {term.value}" if term.value else term.column
    return f"{what} ({term.inside:.0%}, of all {term.overall:.0%})"


def _unique(words: list[str], taken: set[str], spare: Sequence[str] = ()) -> str:
    name = _joined(words)
    for more in spare:
        if fold(name) not in taken:
            return name
        name = _joined([*words, more])
    number, first = 2, name
    while fold(name) in taken:
        name = f"{first} {number}"
        number += 1
    return name


def _joined(words: Sequence[str]) -> str:
    """The first with a capital letter; a very long one is cut."""
    text = " · ".join(word if len(word) <= 40 else f"{word[:39]}…" for word in words)
    return text[:1].upper() + text[1:]
