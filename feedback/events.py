"""SendGrid's event JSON in our own words, and which event counts most. Knows no database and no address
beyond passing it on for hashing.

Fields and their quirks: SendGrid Event Webhook documentation; both `smtp-id` and `sg_message_id` are
absent from some events, so our own `send_key` travels as a custom argument.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from feedback.machines import DECLARED_MACHINE_OPEN, HUMAN_FLOOR, human_probabilities
from feedback.strict_json import elements
from pigeonry.domain import Event, EventKind, SuppressionReason

SENDGRID = "sendgrid"

_KINDS = {
    "processed": EventKind.PROCESSED,
    "deferred": EventKind.DEFERRED,
    "delivered": EventKind.DELIVERED,
    "open": EventKind.OPEN,
    "click": EventKind.CLICK,
    "dropped": EventKind.DROPPED,
    "bounce": EventKind.BOUNCE,
    "blocked": EventKind.BLOCKED,
    "unsubscribe": EventKind.UNSUBSCRIBE,
    "group_unsubscribe": EventKind.UNSUBSCRIBE,
    "spamreport": EventKind.COMPLAINT,
    # Seen, stored, and without any consequence here: a resubscription at the provider never
    # restores consent, because the person did not tell us.
    "group_resubscribe": EventKind.OTHER,
    "account_status_change": EventKind.OTHER,
}
_RANK = {kind: rank for rank, kind in enumerate(EventKind)}
_SEND_KEY = re.compile(r"[0-9a-f]{32}")
# A dropped mail never left. Only these reasons speak of the address; spam content, a bad SMTPAPI header
# and an exhausted quota speak of us.
_DROPPED_FOR_ADDRESS = {
    "bounced address": SuppressionReason.BOUNCE,
    "invalid": SuppressionReason.BOUNCE,
    "unsubscribed address": SuppressionReason.UNSUBSCRIBE,
    "spam reporting address": SuppressionReason.COMPLAINT,
}
_EARLIEST, _LATEST = 946_684_800, 4_102_444_800  # 2000-01-01, 2100-01-01


@dataclass(frozen=True, slots=True)
class Received:
    """An event and the address that it named, which is hashed or matched and then forgotten."""

    event: Event
    address: str
    position: int


@dataclass(frozen=True, slots=True)
class EventError:
    """An element that is no event. `position` counts from 0 in the body."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True)
class ParsedEvents:
    received: tuple[Received, ...]
    errors: tuple[EventError, ...]


def parse_sendgrid(body: bytes) -> ParsedEvents:
    """Understand a body: an array, JSON lines or one object. Never raises for what is in it."""
    received, errors = [], []
    for element in elements(body):
        if element.value is None:
            errors.append(EventError(element.position, element.flaw))
            continue
        try:
            received.append(_received(element.position, element.value))
        except ValueError as error:
            errors.append(EventError(element.position, str(error)))
    return ParsedEvents(tuple(received), tuple(errors))


def status(events: Iterable[Event]) -> EventKind | None:
    """The strongest event in the lattice complaint > unsubscribe > bounce > blocked > dropped > click >
    open > delivered > deferred > processed; a machine's open or click proves delivery only.

    Depends on the set of events, not on their order. None where nothing counts.
    """
    kinds = []
    for event in events:
        machine = event.kind in (EventKind.OPEN, EventKind.CLICK) and event.human < HUMAN_FLOOR
        kinds.append(EventKind.DELIVERED if machine else event.kind)
    return max((kind for kind in kinds if kind is not EventKind.OTHER), key=_RANK.get, default=None)  # type: ignore[arg-type]


def judged(events: Iterable[Event], *, accepted_at: datetime | None = None) -> list[Event]:
    """The same events of one message, each with its probability of being a person's."""
    known = list(events)
    human = human_probabilities(known, accepted_at=accepted_at)
    return [replace(event, human=human[event.id]) for event in known]


def suppression(event: Event) -> SuppressionReason | None:
    """Why the address must not be written to again after this event, or None.

    A block (`bounce` of type `blocked`) is a refusal for now and suppresses nobody.
    """
    if event.kind is EventKind.UNSUBSCRIBE:
        return SuppressionReason.UNSUBSCRIBE
    if event.kind is EventKind.COMPLAINT:
        return SuppressionReason.COMPLAINT
    if event.kind is EventKind.BOUNCE:
        return SuppressionReason.BOUNCE
    if event.kind is EventKind.DROPPED:
        return _DROPPED_FOR_ADDRESS.get(event.reason.strip().lower())
    return None


def withdraws_consent(event: Event) -> bool:
    """Whether the person said stop (a bounce says nothing about consent)."""
    return suppression(event) in (SuppressionReason.UNSUBSCRIBE, SuppressionReason.COMPLAINT)


def _received(position: int, raw: Mapping[str, Any]) -> Received:
    word = _text(raw.get("event")).lower()
    if not word:
        raise ValueError("no `event` in it")
    kind = _KINDS.get(word, EventKind.OTHER)
    if kind is EventKind.BOUNCE and _text(raw.get("type")).lower() == "blocked":
        kind = EventKind.BLOCKED
    event = Event(
        id=_event_id(raw),
        source=SENDGRID,
        kind=kind,
        at=_moment(raw.get("timestamp")),
        send_key=_send_key(raw),
        provider_message_id=_text(raw.get("sg_message_id")).split(".")[0][:200],
        url=_text(raw.get("url"))[:2000],
        user_agent=_text(raw.get("useragent"))[:500],
        ip=_text(raw.get("ip"))[:40],
        reason=_reason(word, kind, raw),
    )
    return Received(judged([event])[0], _text(raw.get("email"))[:320], position)


def _reason(word: str, kind: EventKind, raw: Mapping[str, Any]) -> str:
    if kind is EventKind.OTHER:
        return f"{word}: {_text(raw.get('type') or raw.get('reason'))}".rstrip(": ")[:500]
    if kind is EventKind.OPEN:
        flag = raw.get("sg_machine_open")
        return DECLARED_MACHINE_OPEN if flag is True or _text(flag).lower() == "true" else ""
    text = _text(raw.get("reason") or raw.get("response"))
    code = _text(raw.get("status"))
    return (f"{code} {text}" if code and kind in (EventKind.BOUNCE, EventKind.BLOCKED) else text)[
        :500
    ]


def _event_id(raw: Mapping[str, Any]) -> str:
    """The provider's id; where it is missing or unusable, a hash of the canonical event."""
    given = raw.get("sg_event_id")
    if isinstance(given, str) and 0 < len(_text(given)) <= 128:
        return _text(given)
    canonical = json.dumps(raw, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def _send_key(raw: Mapping[str, Any]) -> str:
    """Our custom argument, else the hex key inside the Message-ID that `smtp-id` repeats."""
    given = _text(raw.get("send_key")).lower()
    if _SEND_KEY.fullmatch(given):
        return given
    found = _SEND_KEY.search(_text(raw.get("smtp-id")).lower())
    return found.group() if found else ""


def _moment(value: Any) -> datetime:
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value.strip()[:20])
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("`timestamp` is missing or no number of seconds since 1970")
    if not _EARLIEST <= value < _LATEST:
        raise ValueError("`timestamp` lies outside the years 2000 to 2099")
    return datetime.fromtimestamp(value, UTC)


def _text(value: Any) -> str:
    """Text that every database can hold: no NUL, no lone surrogate. Other types give ""."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd").strip()
