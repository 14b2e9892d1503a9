"""SendGrid's event JSON in our own words.

Fields and their quirks: SendGrid Event Webhook documentation; both `smtp-id` and `sg_message_id` are
absent from some events, so our own `send_key` travels as a custom argument.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from feedback.events import SENDGRID, EventError, ParsedEvents, Received
from feedback.machines import DECLARED_MACHINE_OPEN
from pigeonry.domain import Event, EventKind
from pigeonry.domain.strict_json import elements

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
_SEND_KEY = re.compile(r"[0-9a-f]{32}")
_EARLIEST, _LATEST = 946_684_800, 4_102_444_800  # 2000-01-01, 2100-01-01


def parse_sendgrid(body: bytes) -> ParsedEvents:
    """Understand a body: an array, JSON lines or one object. Never raises for what is in it."""
    sightings, errors = [], []
    for element in elements(body):
        raw = element.value
        if raw is None:
            errors.append(EventError(element.position, element.flaw))
            continue
        word = _text(raw.get("event")).lower()
        if not word:
            errors.append(EventError(element.position, "no `event` in it"))
            continue
        kind = _KINDS.get(word, EventKind.OTHER)
        if kind is EventKind.BOUNCE and _text(raw.get("type")).lower() == "blocked":
            kind = EventKind.BLOCKED
        sightings.append(_Element(element.position, _event_id(raw), kind, word, raw))
    return ParsedEvents(sightings, errors)


class _Element(NamedTuple):
    """A sighting: what SendGrid said, not read yet."""

    position: int
    event_id: str
    kind: EventKind
    word: str
    raw: Mapping[str, Any]

    def read(self) -> Received:
        raw = self.raw
        event = Event(
            id=self.event_id,
            source=SENDGRID,
            kind=self.kind,
            at=_moment(raw.get("timestamp")),
            send_key=_send_key(raw),
            provider_message_id=_text(raw.get("sg_message_id")).split(".")[0][:200],
            url=_text(raw.get("url"))[:2000],
            user_agent=_text(raw.get("useragent"))[:500],
            ip=_text(raw.get("ip"))[:40],
            reason=_reason(self.word, self.kind, raw),
        )
        return Received(event, _text(raw.get("email"))[:320], self.position)


def _reason(word: str, kind: EventKind, raw: Mapping[str, Any]) -> str:
    if kind is EventKind.OTHER:
        return f"{word}: {_text(raw.get('type') or raw.get('reason'))}".rstrip(": ")[:500]
    if kind is EventKind.OPEN:
        flag = raw.get("sg_machine_open")
        return DECLARED_MACHINE_OPEN if flag is True or _text(flag).lower() == "true" else ""
    if word == "group_unsubscribe":
        return f"group {_text(raw.get('asm_group_id'))}".rstrip()[:500]
    text = _text(raw.get("reason") or raw.get("response"))
    code = _text(raw.get("status"))
    return (f"{code} {text}" if code and kind in (EventKind.BOUNCE, EventKind.BLOCKED) else text)[
        :500
    ]


def _event_id(raw: Mapping[str, Any]) -> str:
    """The provider's id; where it is missing or unusable, a hash of the canonical event."""
    given = raw.get("sg_event_id")
    if isinstance(given, str) and 0 < len(found := _text(given)) <= 128:
        return found
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
    if type(value) is str:
        if value.isascii() and "\x00" not in value:
            return value.strip()
        return value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\ufffd").strip()
    if type(value) is int or type(value) is float:
        return str(value)
    return ""
