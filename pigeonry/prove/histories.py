"""Invented people with invented histories of consent, and who may be mailed after them.

The oracle is a plain reading of what was said, by whom and when. It knows no table, no merging and no fence.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

DAYS = timedelta(days=60)  # a consent ends so long after it was given
PAUSE = timedelta(days=300)


class Word(StrEnum):
    """Something that was said about one address."""

    AGREES = "a list says yes, on a stated basis"
    CUSTOMER = "a list says existing customer, with evidence"
    NO_PROOF = "a list says yes, on no basis"
    NO_EVIDENCE = "a list says existing customer, without evidence"
    DOUBTFUL = "a list says something that is no yes"
    SILENT = "a list says nothing of consent"
    TWICE = "a list has two rows that say yes"
    DIVIDED = "a list has a row that says yes, and one that says nothing"
    CONTRADICTS = "a list has a row that says yes, and one that says no"
    REFUSES = "a list says no"
    BARRED = "a list says yes, and do not mail"
    LEAVES = "the person clicks to leave"
    CONFIRMS = "the person asks to come in, and confirms"
    ASKS = "the person asks to come in, and never confirms"
    PAUSES = "the person asks for a pause"
    RESUMES = "the person ends a pause"
    DECLINES = "the person declines the topic"
    WANTS = "the person wants the topic"
    COMPLAINS = "the provider reports a complaint"
    BOUNCES = "the provider reports that there is no such mailbox"
    ERASED = "the person is erased"


class Said(NamedTuple):
    at: datetime
    word: Word


# Stops, weakest first. What the person or a list said, the person can take back by confirming.
_STOPS = ("", "bar", "bounce", "left", "complaint", "erasure")
_OWN = ("", "bar", "left")
# How likely what is: first for an address that is new, then for one that is known.
_FIRST = {
    Word.AGREES: 10, Word.CUSTOMER: 3, Word.TWICE: 2, Word.NO_PROOF: 2, Word.NO_EVIDENCE: 1, Word.DOUBTFUL: 2,
    Word.SILENT: 2, Word.DIVIDED: 1, Word.CONTRADICTS: 1, Word.REFUSES: 1, Word.BARRED: 1,
}  # fmt: skip
_LATER = {
    Word.AGREES: 6, Word.CUSTOMER: 2, Word.TWICE: 1, Word.NO_PROOF: 2, Word.NO_EVIDENCE: 1, Word.DOUBTFUL: 2,
    Word.SILENT: 2, Word.DIVIDED: 1, Word.CONTRADICTS: 1, Word.REFUSES: 2, Word.BARRED: 1, Word.LEAVES: 4,
    Word.CONFIRMS: 9, Word.ASKS: 1, Word.PAUSES: 1.5, Word.RESUMES: 1, Word.DECLINES: 1.5, Word.WANTS: 1,
    Word.COMPLAINS: 1, Word.BOUNCES: 1, Word.ERASED: 0.4,
}  # fmt: skip


def may_be_mailed(history: Sequence[Said], now: datetime) -> bool:
    """Whether a mail about the topic may go to an address of which that was said, oldest first."""
    until: datetime | None = None  # agreed until then
    paused: datetime | None = None
    spoke = declined = False  # a list never speaks over what was said before
    stop = ""
    for at, word in history:
        if at > now or stop == "erasure":
            break
        match word:
            case Word.AGREES | Word.CUSTOMER | Word.TWICE:
                if not spoke and not stop:
                    until, spoke = at + DAYS, True
            case Word.REFUSES | Word.CONTRADICTS:
                until, spoke = None, True
            case Word.BARRED:
                stop = stop or "bar"
            case Word.LEAVES:
                until, spoke, stop = None, True, max(stop, "left", key=_STOPS.index)
            case Word.CONFIRMS:
                if stop in _OWN:
                    until, spoke, stop = at + DAYS, True, ""
            case Word.PAUSES | Word.RESUMES:
                paused = at + PAUSE if word is Word.PAUSES else None
            case Word.DECLINES | Word.WANTS:
                declined = word is Word.DECLINES
            case Word.COMPLAINS | Word.BOUNCES | Word.ERASED:
                new = {"c": "complaint", "b": "bounce", "e": "erasure"}[word.name[0].lower()]
                stop = max(stop, new, key=_STOPS.index)
    agreed = until is not None and now < until
    return agreed and not stop and not declined and not (paused and now < paused)


def invented(lot: random.Random, people: int, rounds: Sequence[datetime]) -> dict[str, list[Said]]:
    """Histories by address: one thing at most in each round. Every tenth person has two addresses: lists know
    both under one number, and what was agreed for the one says nothing about the other."""
    found: dict[str, list[Said]] = {}
    for number in range(people):
        names = [f"p{number}@example.com"] + [f"p{number}.nou@example.org"] * (number % 10 == 0)
        for name in names:
            first = lot.randrange(len(rounds) // 2)
            found[name] = [Said(rounds[first], _drawn(lot, _FIRST))]
            found[name] += [
                Said(at, _drawn(lot, _LATER)) for at in rounds[first + 1 :] if lot.random() < 0.55
            ]
    return found


def _drawn(lot: random.Random, weights: Mapping[Word, float]) -> Word:
    return lot.choices(list(weights), list(weights.values()))[0]
