"""Events in our own words, whoever reported them: which counts most, and which says that we must stop.

Knows no database and no provider, and no address beyond passing it on for hashing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from feedback.datacenters import NOWHERE, Networks
from feedback.machines import HUMAN_FLOOR, verdicts
from pigeonry.domain import Event, EventKind, SuppressionReason

SENDGRID = "sendgrid"
INBOUND = "inbound"
CONVERSIONS = "conversions"

_RANK = {kind: rank for rank, kind in enumerate(EventKind)}
_JUDGED = (EventKind.OPEN, EventKind.CLICK)
# A dropped mail never left. Only these reasons speak of the address; spam content, a bad SMTPAPI header
# and an exhausted quota speak of us.
_DROPPED_FOR_ADDRESS = {
    "bounced address": SuppressionReason.BOUNCE,
    "invalid": SuppressionReason.BOUNCE,
    "unsubscribed address": SuppressionReason.UNSUBSCRIBE,
    "spam reporting address": SuppressionReason.COMPLAINT,
}
_STOPS = {
    EventKind.UNSUBSCRIBE: SuppressionReason.UNSUBSCRIBE,
    EventKind.COMPLAINT: SuppressionReason.COMPLAINT,
    EventKind.BOUNCE: SuppressionReason.BOUNCE,
}


class Sighting(Protocol):
    """An element that looks like an event. Its id and kind are enough to know it again, so that a copy
    of a known one is never read; `read` does that, and raises ValueError where it is no event."""

    @property
    def position(self) -> int: ...

    @property
    def event_id(self) -> str: ...

    @property
    def kind(self) -> EventKind: ...

    def read(self) -> Received: ...


@dataclass(frozen=True, slots=True)
class Received:
    """An event and whom it named, which is matched or hashed and then forgotten.

    `token` is a candidate for an unsubscribe token of ours, unverified. `address` may be another one
    than the lead's, when somebody answers from elsewhere.
    """

    event: Event
    address: str
    position: int
    token: str = ""
    external_id: str = ""

    @property
    def event_id(self) -> str:
        return self.event.id

    @property
    def kind(self) -> EventKind:
        return self.event.kind

    def read(self) -> Received:
        return self


@dataclass(frozen=True, slots=True)
class EventError:
    """An element that is no event. `position` counts from 0 in the body."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedEvents:
    """What a body holds. A source whose bodies hold few events may read them at once."""

    received: Sequence[Sighting]
    errors: Sequence[EventError]

    def read(self) -> tuple[list[Received], list[EventError]]:
        """Read them all; those that turn out to be no event join the errors."""
        found, errors = [], list(self.errors)
        for sighting in self.received:
            try:
                found.append(sighting.read())
            except ValueError as error:
                errors.append(EventError(sighting.position, str(error)))
        return found, errors


def status(events: Iterable[Event]) -> EventKind | None:
    """The strongest event in the lattice complaint > unsubscribe > bounce > blocked > dropped >
    conversion > reply > click > open > delivered > deferred > processed; a machine's open or click
    proves delivery only.

    Depends on the set of events, not on their order. None where nothing counts.
    """
    best = None
    for event in events:
        kind = event.kind
        if kind is EventKind.OTHER:
            continue
        if kind in _JUDGED and event.human < HUMAN_FLOOR:
            kind = EventKind.DELIVERED
        if best is None or _RANK[kind] > _RANK[best]:
            best = kind
    return best


def judged(
    events: Iterable[Event],
    *,
    accepted_at: datetime | None = None,
    datacenters: Networks = NOWHERE,
) -> list[Event]:
    """The same events of one message, each with its probability of being a person's and why."""
    known = list(events)
    if not any(event.kind in _JUDGED for event in known):
        return known
    return [
        event
        if (event.human, event.why) == verdict
        else replace(event, human=verdict.human, why=verdict.why)
        for event, verdict in zip(
            known, verdicts(known, accepted_at=accepted_at, datacenters=datacenters), strict=True
        )
    ]


def suppression(event: Event) -> SuppressionReason | None:
    """Why the address must not be written to again after this event, or None.

    A block (`bounce` of type `blocked`) is a refusal for now and suppresses nobody; neither does a
    click, wherever its link leads.
    """
    if event.kind is EventKind.DROPPED:
        return _DROPPED_FOR_ADDRESS.get(event.reason.strip().lower())
    return _STOPS.get(event.kind)


def withdraws_consent(event: Event) -> bool:
    """Whether the person said stop (a bounce says nothing about consent)."""
    return suppression(event) in (SuppressionReason.UNSUBSCRIBE, SuppressionReason.COMPLAINT)
