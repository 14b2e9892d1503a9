"""What a message earned, from its events; and how much of what it will earn can be in by now."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from feedback.machines import HUMAN_FLOOR
from pigeonry.domain import Event, EventKind, Outcomes, SentMessage

# What one unsubscribe or complaint costs, in clicks. Judgement: a lost reader costs more than one visit,
# and a complaint endangers the delivery of everybody's mail.
UNSUBSCRIBE_COST = 2.0
COMPLAINT_COST = 10.0

# Log of scale (a second to a year, in hours) and shape of a delay curve: least and most.
_BOUNDS = ((math.log(1 / 3600), math.log(0.2)), (math.log(8760), math.log(5)))

_ARRIVED = frozenset(
    {
        EventKind.DELIVERED,
        EventKind.OPEN,
        EventKind.CLICK,
        EventKind.REPLY,
        EventKind.CONVERSION,
        EventKind.UNSUBSCRIBE,
        EventKind.COMPLAINT,
    }
)
# What only somebody does who has read the mail.
_ENGAGED = frozenset({EventKind.REPLY, EventKind.CONVERSION})


def outcomes(
    messages: Iterable[SentMessage], events: Mapping[int, Sequence[Event]]
) -> list[Outcomes]:
    """One outcome for each message. A machine's open or click proves delivery and earns nothing."""
    return [_outcome(message, events.get(message.message_id, ())) for message in messages]


def _outcome(message: SentMessage, events: Sequence[Event]) -> Outcomes:
    kinds = {event.kind for event in events}
    human = [event for event in events if event.human >= HUMAN_FLOOR]
    clicks = [event.at for event in human if event.kind is EventKind.CLICK]
    return Outcomes(
        message_id=message.message_id,
        lead_id=message.lead_id,
        campaign_id=message.campaign_id,
        segment_id=message.segment_id,
        language=message.language,
        arm=message.arm,
        prompt=message.prompt,
        prompt_version=message.prompt_version,
        propensity=message.propensity,
        wave=message.wave,
        accepted_at=message.accepted_at,
        delivered=bool(kinds & _ARRIVED),
        # Whoever clicked or answered has read the mail, whether or not its images were loaded.
        opened=bool(clicks)
        or bool(kinds & _ENGAGED)
        or any(event.kind is EventKind.OPEN for event in human),
        clicked=bool(clicks),
        unsubscribed=EventKind.UNSUBSCRIBE in kinds,
        complained=EventKind.COMPLAINT in kinds,
        bounced=EventKind.BOUNCE in kinds,
        first_click_at=min(clicks, default=None),
        replied=EventKind.REPLY in kinds,
        converted=EventKind.CONVERSION in kinds,
    )


def reward(outcome: Outcomes) -> float:
    """Human click minus the price of an unsubscribe or complaint, in clicks."""
    return (
        float(outcome.clicked)
        - UNSUBSCRIBE_COST * outcome.unsubscribed
        - COMPLAINT_COST * outcome.complained
    )


@dataclass(frozen=True, slots=True)
class DelayCurve:
    """Share of all clicks that are in at an age: Weibull, F(t) = 1 - exp(-(t / scale) ** shape).

    `scale` is in hours; a scale of 0 says that everything is in at once.
    """

    scale: float
    shape: float = 1.0

    def share(self, hours: float) -> float:
        if self.scale <= 0:
            return 1.0
        if hours <= 0:
            return 0.0
        return -math.expm1(-((hours / self.scale) ** self.shape))

    def exposure(self, outcome: Outcomes, now: datetime) -> float:
        """How much of a whole trial this send is by now: an unmatured send is no failure."""
        return self.share((now - outcome.accepted_at).total_seconds() / 3600)


def half_life_curve(hours: float) -> DelayCurve:
    """The curve of which half is in after `hours`: what is assumed before delays were seen."""
    return DelayCurve(hours / math.log(2) if hours > 0 else 0.0)


def fit_delay(
    seen: Iterable[Outcomes], now: datetime, before: DelayCurve, *, least: int = 50
) -> DelayCurve:
    """Weibull fitted to the delays of clicks by maximum likelihood, truncation allowed for.

    A click can only have been seen if its delay is shorter than its message's age a, so each delay d
    contributes f(d) / F(a). Fewer than `least` clicks, or a `before` without delay, leave `before`.
    """
    import numpy as np
    from scipy.optimize import minimize

    pairs = [
        (
            (o.first_click_at - o.accepted_at).total_seconds() / 3600,
            (now - o.accepted_at).total_seconds() / 3600,
        )
        for o in seen
        if o.first_click_at is not None
    ]
    pairs = [(delay, age) for delay, age in pairs if 0 < delay <= age]
    if len(pairs) < least or before.scale <= 0:
        return before
    delays, ages = np.array(pairs).T

    def loss(parameters: np.typing.NDArray[np.float64]) -> float:
        scale, shape = np.exp(np.clip(parameters, *_BOUNDS))
        z = (delays / scale) ** shape
        density = np.log(shape) + shape * np.log(delays / scale) - np.log(delays) - z
        seen_by_now = np.log(np.maximum(-np.expm1(-((ages / scale) ** shape)), 1e-300))
        # A weak pull towards `before` keeps a fit to very young messages from running away.
        pull = 0.5 * (parameters[0] - math.log(before.scale)) ** 2 / 4 + 0.5 * parameters[1] ** 2
        return float(pull - np.sum(density - seen_by_now))

    start = np.array([math.log(max(float(np.median(delays)), 1e-3)), 0.0])
    found = minimize(loss, start, method="Nelder-Mead")
    scale, shape = np.exp(np.clip(found.x, *_BOUNDS))
    return DelayCurve(float(scale), float(shape))
