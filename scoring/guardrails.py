"""Limits that no click rate buys off: an arm that is shown to drive people away is stopped."""

from __future__ import annotations

from dataclasses import dataclass

from pigeonry.domain import Interval
from scoring.evaluate import rate_interval

# Google's sender guidelines (2024): keep reported spam below 0.1 %, never reach 0.3 %.
COMPLAINT_LIMIT = 0.003
# No sender rule names a figure; providers' guides call 0.5 % of unsubscribes a mail high. Four times
# that is no matter of taste any more.
UNSUBSCRIBE_LIMIT = 0.02
# Amazon SES reviews an account at 5 % of hard bounces and stops it at 10 %; others keep to about the same.
BOUNCE_LIMIT = 0.05


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One limit on one arm. `stopped`: the whole interval lies above it, at every look (level 99 %).
    `watch`: the estimate does, which may still be chance."""

    arm: str
    name: str
    limit: float
    rate: Interval

    @property
    def stopped(self) -> bool:
        return self.rate.low > self.limit

    @property
    def watch(self) -> bool:
        return self.rate.estimate > self.limit and not self.stopped

    @property
    def sentence(self) -> str:
        found = f"arm {self.arm}: {self.rate.estimate:.2%} {self.name}, limit {self.limit:.2%}"
        if self.stopped:
            return f"{found}: STOPPED, shown to be above it"
        if self.watch:
            return f"{found}: above it, but not shown (from {self.rate.low:.2%})"
        return f"{found}: kept"


def guardrails(arm: str, *, sends: int, unsubscribed: int, complained: int) -> list[Guardrail]:
    """The two limits on an arm."""
    return [
        Guardrail(
            arm, "unsubscribes", UNSUBSCRIBE_LIMIT, rate_interval(unsubscribed, sends, level=0.99)
        ),
        Guardrail(arm, "complaints", COMPLAINT_LIMIT, rate_interval(complained, sends, level=0.99)),
    ]
