"""Opens and clicks that our own links told us, in the same words as a provider's events."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from feedback.events import EventError, ParsedEvents, Received, judged
from feedback.machines import HIDDEN_LINK
from pigeonry.domain import Event, EventKind
from pigeonry.domain.strict_json import elements

OWN = "own"
OPEN, CLICK = "open", "click"

_KINDS = {OPEN: EventKind.OPEN, CLICK: EventKind.CLICK}
_HEX = re.compile(r"[0-9a-f]{32}")


def parse_own(body: bytes) -> ParsedEvents:
    """Understand lines that our web app wrote. Never raises for what is in them."""
    received, errors = [], []
    for element in elements(body):
        if element.value is None:
            errors.append(EventError(element.position, element.flaw))
            continue
        try:
            event = _event(element.value)
        except ValueError as error:
            errors.append(EventError(element.position, str(error)))
        else:
            received.append(Received(judged([event])[0], "", element.position))
    return ParsedEvents(tuple(received), tuple(errors))


def _event(raw: Mapping[str, Any]) -> Event:
    kind = _KINDS.get(str(raw.get("kind")))
    if kind is None:
        raise ValueError("`kind` is neither open nor click")
    for name in ("id", "send_key"):
        if not _HEX.fullmatch(str(raw.get(name))):
            raise ValueError(f"`{name}` is not 32 hexadecimal digits")
    at = datetime.fromisoformat(str(raw.get("at")))
    if at.tzinfo is None:
        raise ValueError("`at` has no time zone")
    return Event(
        id=str(raw["id"]),
        source=OWN,
        kind=kind,
        at=at.astimezone(UTC),
        send_key=str(raw["send_key"]),
        url=str(raw.get("url") or "")[:2000],
        user_agent=str(raw.get("useragent") or "")[:500],
        ip=str(raw.get("ip") or "")[:40],
        reason=HIDDEN_LINK if raw.get("hidden") is True else "",
    )
