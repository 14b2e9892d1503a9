"""How the report writes numbers, and what may be concluded from them. Knows no HTML."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pigeonry.domain.experiment import Interval
from pigeonry.service.report_data import ArmFacts, CampaignFacts, CostFacts

NO_BREAK = "\N{NO-BREAK SPACE}"
MINUS = "\N{MINUS SIGN}"


def count(number: float) -> str:
    return f"{number:,.0f}"


def percent(fraction: float) -> str:
    """5.2 %; two digits that count below one percent."""
    value = fraction * 100
    places = 0 if value == 0 else 1 if abs(value) >= 1 else 2
    text = f"{abs(value):.{places}f}"
    return f"{MINUS if value < 0 and float(text) else ''}{text}{NO_BREAK}%"


def points(fraction: float) -> str:
    """A difference of two rates: +1.3 points."""
    value = fraction * 100
    text = f"{abs(value):.{1 if abs(value) >= 1 or value == 0 else 2}f}"
    sign = "" if not float(text) else MINUS if value < 0 else "+"
    return f"{sign}{text}{NO_BREAK}points"


def span(interval: Interval) -> str:
    """3.1 % to 7.9 %."""
    return f"{percent(interval.low)} to {percent(interval.high)}"


def money(micros: float, currency: str) -> str:
    """Whole cents from one unit on; below that the first two digits that count; never more than a
    millionth."""
    value = micros / 1e6
    if value == 0:
        text = "0"
    elif abs(value) >= 1:
        text = f"{value:,.2f}"
    else:
        places = min(6, max(2, 1 - math.floor(math.log10(abs(value)))))
        text = f"{value:.{places}f}"
    return f"{text}{NO_BREAK}{currency}"


def chance(probability: float) -> str:
    """Never 0 % or 100 % for something that is only unlikely."""
    if 0 < probability < 0.001:
        return f"below 0.1{NO_BREAK}%"
    if 0.999 < probability < 1:
        return f"above 99.9{NO_BREAK}%"
    return percent(probability)


@dataclass(frozen=True, slots=True)
class Headline:
    """The campaigns of the page added up. Money in millionths of `currency`; `currency` is "" when the
    campaigns were paid in different ones, and nothing is added up then."""

    sent: int
    held_out: int
    failed: int
    calls: int
    cost_micros: int
    currency: str
    naive_micros: int | None


def headline(campaigns: Sequence[CampaignFacts], costs: CostFacts | None) -> Headline:
    currencies = {campaign.currency for campaign in campaigns if campaign.cost_micros}
    currencies = currencies or {campaign.currency for campaign in campaigns}
    currency = currencies.pop() if len(currencies) == 1 else ""
    naive = costs.steps[0].micros if costs and costs.steps and costs.currency == currency else None
    return Headline(
        sent=sum(campaign.sent for campaign in campaigns),
        held_out=sum(campaign.held_out for campaign in campaigns),
        failed=sum(campaign.failed for campaign in campaigns),
        calls=sum(campaign.calls for campaign in campaigns),
        cost_micros=sum(campaign.cost_micros for campaign in campaigns),
        currency=currency,
        naive_micros=naive,
    )


def arm_of(campaign: CampaignFacts, letter: str) -> ArmFacts | None:
    return next((arm for arm in campaign.arms if arm.arm == letter), None)


@dataclass(frozen=True, slots=True)
class BeliefMove:
    """A belief when the earlier campaign chose (None: nothing was known) and when the later one did.
    `sends` and `clicks` came in between."""

    prompt: str
    segment: str
    before: Interval | None
    after: Interval
    sends: int
    clicks: int


@dataclass(frozen=True, slots=True)
class Change:
    """What two campaigns in a row chose differently, by names of prompts. `moves` lists every belief
    that both prompts' texts have; `main` are those about all segments together."""

    before: CampaignFacts
    after: CampaignFacts
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    added: tuple[str, ...]
    new_texts: tuple[str, ...]
    moves: tuple[BeliefMove, ...]

    @property
    def main(self) -> tuple[BeliefMove, ...]:
        return tuple(move for move in self.moves if not move.segment)

    @property
    def favourites(self) -> Mapping[str, tuple[str, ...]]:
        """Prompt -> the segments in which it is now believed to be the best."""
        best: dict[str, BeliefMove] = {}
        for move in self.moves:
            if move.segment and (
                move.segment not in best or move.after.estimate > best[move.segment].after.estimate
            ):
                best[move.segment] = move
        found: dict[str, tuple[str, ...]] = {}
        for segment, move in best.items():
            found[move.prompt] = (*found.get(move.prompt, ()), segment)
        return found


def change(before: CampaignFacts, after: CampaignFacts) -> Change:
    old = {arm.prompt: arm for arm in before.arms}
    new = {arm.prompt: arm for arm in after.arms}
    known = {(belief.prompt, belief.version, belief.segment): belief for belief in before.beliefs}
    moves = []
    for belief in after.beliefs:
        was = known.get((belief.prompt, belief.version, belief.segment))
        moves.append(
            BeliefMove(
                belief.prompt,
                belief.segment,
                was.rate if was else None,
                belief.rate,
                belief.sends - (was.sends if was else 0),
                belief.clicks - (was.clicks if was else 0),
            )
        )
    return Change(
        before=before,
        after=after,
        kept=tuple(name for name in new if name in old),
        dropped=tuple(name for name in old if name not in new),
        added=tuple(name for name in new if name not in old),
        new_texts=tuple(
            name for name in new if name in old and new[name].version != old[name].version
        ),
        moves=tuple(moves),
    )


# What the checks of `generation.checks` look at, in a marketer's words.
_CHECKS = {
    "banned": "a word that the brief bans",
    "capitals": "a word in capitals",
    "cut": "cut off at the limit",
    "diacritics": "wrong or missing diacritics",
    "emoji": "an emoji or an invisible character",
    "empty": "says nothing",
    "form": "stray spaces or line breaks",
    "grammar": "broken grammar",
    "invented": "a word that the brief does not know",
    "language": "the wrong language",
    "length": "too long",
    "link": "a link of its own",
    "overlap": "says too little of what the brief says",
    "placeholder": "an unfilled placeholder",
    "product": "does not name the product",
    "prompt-copy": "copies the prompt",
    "punctuation": "exclamation or a chain of marks",
    "repetition": "repeats itself",
    "required": "lacks a word that the brief requires",
    "schema": "an answer out of shape",
    "sensitive": "may hurt a reader",
    "sibling": "too close to the other arm",
    "spam": "reads like spam",
    "unfinished": "an unfinished sentence",
}


def check_words(code: str) -> str:
    kind, _, claim = code.partition(":")
    if kind == "claim" and claim:
        return f"a claim that is not in the brief ({claim.replace('-', ' ')})"
    return _CHECKS.get(code, code)


def refusals(campaigns: Sequence[CampaignFacts]) -> list[tuple[str, int]]:
    """Which checks proposals did not pass, over all campaigns, most frequent first."""
    totals: dict[str, int] = {}
    for campaign in campaigns:
        for code, number in campaign.refused.items():
            totals[check_words(code)] = totals.get(check_words(code), 0) + number
    return sorted(totals.items(), key=lambda item: (-item[1], item[0]))


def wave_name(wave: int) -> str:
    return "test wave" if wave == 1 else "the rest" if wave == 2 else f"wave {wave}"
