"""What a very small model may choose from: phrases that stand in the brief, never single words.

Measured with the packaged 135M model, English subjects, one draw each, read by one person: held to JSON
alone 0 of 12 could be sent; held to the brief's single words 19 of 33; held to whole phrases 31 of 33 (two
were too long, and refused). What is left to it is the opening, the phrase and the reader that it names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from generation.library import slots_of
from generation.words import FUNCTION, fold, words
from pigeonry.domain import Language

if TYPE_CHECKING:
    from generation.cascade import Cell


def slots_of_small(cell: Cell) -> dict[str, list[str]]:
    """The phrases of which a small writer may make its lines: the product's name; spans of the
    benefit that leads in this segment and of what the product is; the readers.

    A phrase that a sibling's subject has already is left out while another remains.
    """
    wording = cell.brief.wording[cell.language]
    benefit = slots_of(cell.brief, cell.language, cell.order)["benefit"]
    gains = phrase_spans(benefit, cell.language)
    kinds = [what for fact in wording.facts if (what := _kind(fact, wording.product))]
    used = " ".join(copy.subject for copy in cell.siblings).casefold()

    def fresh(spans: list[str]) -> list[str]:
        return [span for span in spans if span.casefold() not in used] or spans

    return {
        "product": [wording.product],
        "benefit": fresh(gains),
        "span": fresh([*gains, *kinds[:1]]),
        "reader": readers(cell) or ([wording.audience] if wording.audience else []),
    }


def phrase_spans(phrase: str, language: Language) -> list[str]:
    """The whole phrase and its beginnings that can stand alone: they end before a function word that
    does not go on with a list, and say two things at least. "a clear plan for the week" -> itself and
    "a clear plan"; "order in clients and invoices" -> itself only."""
    every = phrase.split()
    function, more = FUNCTION[language], _MORE[language]
    spans = [phrase]
    for end in range(2, len(every)):
        ends = fold(every[end]) in function and fold(every[end]) not in more
        begun = every[:end]
        meant = [word for word in begun if fold(word) not in function]
        if ends and len(meant) >= 2 and fold(begun[-1]) not in function:
            spans.append(" ".join(begun))
    return spans


_MORE = {Language.EN: {"and", "or"}, Language.RO: {"si", "sau"}}


def readers(cell: Cell) -> list[str]:
    """Who may be named: readers of the prompt's closed list whose marks the segment's description has."""
    grammar = cell.prompt.small
    segment = cell.segment
    about = set(words(f"{segment.name} {segment.description} {' '.join(segment.terms)}"))
    return [
        name
        for name, marks in (grammar.readers if grammar else {}).items()
        if about & {fold(mark) for mark in marks}
    ]


def _kind(fact: str, product: str) -> str:
    """What the product is, from a fact that says so: "Zilio is an online weekly planner." """
    match = re.match(
        rf"{re.escape(product)} is ((?:an?|the) [\w' -]+?)(?: with | for |[.,]|$)", fact
    )
    return match[1] if match else ""
