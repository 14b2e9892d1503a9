"""Accepted messages with what came back of them, in batches: what learning, results and lots look at."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from feedback.learn import Belief, Cell, PromptKey, beliefs_before, cells
from feedback.report import Tally, tally
from feedback.rewards import DelayCurve, fit_delay, half_life_curve, outcomes
from pigeonry.domain import Interval, Outcomes, Posterior
from pigeonry.domain.variant import PERSON
from pigeonry.store import campaigns, engagement, events
from pigeonry.store.session import Database

K = TypeVar("K", bound=Hashable)

_BATCH = 5000
_HELD = 5000  # outcomes of a campaign that may stand in memory


def stream_outcomes(db: Database, *, campaign_id: int | None = None) -> Iterator[Outcomes]:
    """Outcomes of every accepted message (of one campaign), oldest first. No transaction stays open
    while the caller works on one."""
    after = 0
    while True:
        with db.read() as session:
            sent = engagement.sent(session, campaign_id=campaign_id, after_id=after, limit=_BATCH)
            seen = events.of_messages(session, [message.message_id for message in sent])
        if not sent:
            return
        yield from outcomes(sent, seen)
        after = sent[-1].message_id


@dataclass(frozen=True, slots=True)
class Lot:
    """What leads had in common when they drew."""

    wave: int
    segment_id: int
    language: str
    arm: str
    propensity: float


@dataclass(frozen=True, slots=True)
class Summary:
    """A campaign's outcomes summed up: matured cells to learn from, counts by lot, the delay curve, and
    the share of all clicks that are expected to be in (0 before anything was sent)."""

    cells: tuple[Cell, ...]
    tallies: Mapping[Lot, Tally]
    curve: DelayCurve
    ripe: float

    def by_arm(self) -> dict[str, Tally]:
        return self.by(lambda lot: lot.arm)

    def by(self, key: Callable[[Lot], K]) -> dict[K, Tally]:
        found: dict[K, Tally] = {}
        for lot, counts in self.tallies.items():
            found[key(lot)] = found.get(key(lot), Tally()) + counts
        return found


def summarise(db: Database, campaign_id: int, *, mature_hours: float, now: datetime) -> Summary:
    """Go through a campaign's outcomes twice (delays first), holding only sums and clicks; a small one's are
    held, and read once.

    Within a campaign arms compete, whoever wrote their words: a text that a person has edited counts for
    its arm here, though never for the arm's prompt in what is learned from all campaigns.
    """
    clicked: list[Outcomes] = []
    held: list[Outcomes] = []
    with db.read() as session:
        arms = campaigns.arms(session, campaign_id)

    def of_arms() -> Iterator[Outcomes]:
        for outcome in stream_outcomes(db, campaign_id=campaign_id):
            plan = arms.get(outcome.arm) if outcome.prompt == PERSON else None
            yield (
                replace(outcome, prompt=plan.prompt, prompt_version=plan.version)
                if plan
                else outcome
            )

    def noting() -> Iterator[Outcomes]:
        for outcome in of_arms():
            if outcome.first_click_at is not None:
                clicked.append(outcome)
            if len(held) <= _HELD:
                held.append(outcome)
            yield outcome

    tallies = tally(noting(), lambda o: Lot(o.wave, o.segment_id, o.language, o.arm, o.propensity))
    curve = fit_delay(clicked, now, half_life_curve(mature_hours))
    found = cells(held if len(held) <= _HELD else of_arms(), curve, now)
    sends = sum(cell.sends for cell in found)
    return Summary(
        tuple(found), tallies, curve, sum(cell.exposure for cell in found) / sends if sends else 0.0
    )


def snapshot(beliefs: Sequence[Posterior]) -> list[dict[str, Any]]:
    """Beliefs as they go into an experiment's plan: a campaign decides on what was believed when its
    arms were chosen, so that its own replies do not count twice."""
    return [
        {
            "prompt": belief.prompt,
            "version": belief.prompt_version,
            "segment": belief.segment_id,
            "sends": belief.sends,
            "clicks": belief.clicks,
            "alpha": belief.alpha,
            "beta": belief.beta,
        }
        for belief in beliefs
    ]


def believed(plan: Mapping[str, Any]) -> list[Posterior]:
    """The beliefs that `snapshot` put into a plan."""
    return [
        Posterior(
            prompt=row["prompt"],
            prompt_version=row["version"],
            segment_id=int(row["segment"]),
            sends=int(row["sends"]),
            clicks=int(row["clicks"]),
            alpha=float(row["alpha"]),
            beta=float(row["beta"]),
        )
        for row in plan.get("beliefs", [])
    ]


def credible(belief: Posterior, level: float = 0.95) -> Interval:
    """Central interval of a Beta belief."""
    from scipy.special import betaincinv

    tail = (1 - level) / 2
    low, high = (float(betaincinv(belief.alpha, belief.beta, p)) for p in (tail, 1 - tail))
    return Interval(belief.mean, low, high, level)


def priors(
    plan: Mapping[str, Any],
) -> tuple[dict[PromptKey, Belief], dict[tuple[str, str, int], Belief], float]:
    """The discounted beliefs with which a campaign starts (see feedback.learn.beliefs_before)."""
    return beliefs_before(believed(plan))
