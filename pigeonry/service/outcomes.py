"""Accepted messages with what came back of them, in batches: what learning, results and lots look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from feedback.learn import Belief, PromptKey, beliefs_before
from feedback.rewards import outcomes
from pigeonry.domain import Outcomes, Posterior
from pigeonry.store import engagement, events
from pigeonry.store.session import Database

_BATCH = 5000


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


def priors(
    plan: Mapping[str, Any],
) -> tuple[dict[PromptKey, Belief], dict[tuple[str, str, int], Belief], float]:
    """The discounted beliefs with which a campaign starts (see feedback.learn.beliefs_before)."""
    return beliefs_before(believed(plan))
