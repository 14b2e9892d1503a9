"""Counts and rates of what came back, as plain numbers. Draws no conclusion: that is scoring's."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from feedback.rewards import reward
from pigeonry.domain import Outcomes

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of some mails. Opens and clicks are people's; `reward` is in clicks."""

    sends: int = 0
    delivered: int = 0
    opened: int = 0
    clicked: int = 0
    unsubscribed: int = 0
    complained: int = 0
    bounced: int = 0
    reward: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.sends + other.sends,
            self.delivered + other.delivered,
            self.opened + other.opened,
            self.clicked + other.clicked,
            self.unsubscribed + other.unsubscribed,
            self.complained + other.complained,
            self.bounced + other.bounced,
            self.reward + other.reward,
        )

    def rate(self, count: int) -> float:
        """A share of the mails sent, 0 where none was."""
        return count / self.sends if self.sends else 0.0

    @property
    def open_rate(self) -> float:
        return self.rate(self.opened)

    @property
    def click_rate(self) -> float:
        return self.rate(self.clicked)

    @property
    def unsubscribe_rate(self) -> float:
        return self.rate(self.unsubscribed)

    @property
    def complaint_rate(self) -> float:
        return self.rate(self.complained)


def tally(outcomes: Iterable[Outcomes], key: Callable[[Outcomes], K]) -> dict[K, Tally]:
    """Tallies by whatever `key` says of an outcome, in the order of the keys' first appearance."""
    sums: dict[K, Tally] = {}
    for outcome in outcomes:
        group = key(outcome)
        sums[group] = sums.get(group, Tally()) + Tally(
            1,
            outcome.delivered,
            outcome.opened,
            outcome.clicked,
            outcome.unsubscribed,
            outcome.complained,
            outcome.bounced,
            reward(outcome),
        )
    return sums
