"""Events as a provider delivers them, shuffled and several times, and what has to come of them.

The oracle shares nothing with the code under test: it ranks the provider's own words by a table of its own.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Post = tuple[int, bytes, str]  # events in it, body, "" or how it is forged
SENT = datetime.now(UTC).replace(microsecond=0) - timedelta(days=2)
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"

# The lattice as the design states it, in SendGrid's words, weakest first; and what we call each.
_STRENGTH = (
    "", "processed", "deferred", "delivered", "open", "click", "dropped", "blocked", "bounce",
    "unsubscribe", "complaint",
)  # fmt: skip
_CALLED = {"group_unsubscribe": "unsubscribe", "spamreport": "complaint"}
_REASONS = ("", "bounce", "unsubscribe", "complaint")


@dataclass
class Corpus:
    """`bodies` are distinct events as JSON. The rest is the oracle's."""

    bodies: list[bytes] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)  # event id -> kind
    status: dict[str, str] = field(default_factory=dict)  # send key -> strongest
    stopped: dict[int, str] = field(default_factory=dict)  # number of the mail -> reason
    keys: list[str] = field(default_factory=list)  # send keys by number
    corrupt: list[bytes] = field(default_factory=list)

    def evil(self, number: int) -> bytes:
        """An event of a forger: it must leave no trace."""
        return _json(
            {
                "email": address(0),
                "event": "spamreport",
                "sg_event_id": f"evil-{number}",
                "timestamp": int(SENT.timestamp()) + 60,
                "send_key": self.keys[0],
            }
        )


def address(number: int) -> str:
    return f"lead{number}@example.com"


def corpus(events: int, lot: random.Random) -> Corpus:
    made = Corpus()
    while len(made.bodies) < events:
        number = len(made.keys)
        key = f"{lot.getrandbits(128):032x}"
        made.keys.append(key)
        made.status[key] = ""
        for offset, word, more in _story(lot)[: events - len(made.bodies)]:
            _add(made, number, key, offset, word, more, lot)
    made.corrupt = [
        b"17",
        b'"text"',
        b"null",
        b"[]",
        b'{"event": "open"}',
        b'{"event": "open", "timestamp": NaN, "sg_event_id": "nan"}',
        b'{"event": "open", "timestamp": 1e999, "sg_event_id": "inf"}',
        b'{"event": "open", "timestamp": "yesterday", "sg_event_id": "day"}',
        b'{"timestamp": 1700000000, "sg_event_id": "wordless"}',
        b'{"event": "open", "event": "click", "timestamp": 1700000000, "sg_event_id": "twice"}',
        b'{"event": "open", broken}',
    ]
    return made


def _story(lot: random.Random) -> list[tuple[int, str, dict[str, Any]]]:
    """What happens to one mail: seconds after it left, the provider's word, further fields."""
    fate = lot.random()
    if fate < 0.01:
        return [(1, "dropped", {"reason": lot.choice(["Spam Content", "Bounced Address"])})]
    told: list[tuple[int, str, dict[str, Any]]] = [(1, "processed", {})]
    if lot.random() < 0.05:
        told.append((3, "deferred", {"response": "451 try later", "attempt": "1"}))
    if fate < 0.04:
        return [*told, (9, "bounce", {"type": "bounce", "status": "5.1.1", "reason": "550 no"})]
    if fate < 0.05:
        return [*told, (9, "bounce", {"type": "blocked", "status": "5.7.1", "reason": "550 no"})]
    told.append((10, "delivered", {"response": "250 OK"}))
    seen = {"useragent": BROWSER, "ip": "203.0.113.7"}
    if lot.random() < 0.3:
        told.append((20, "open", {**seen, "sg_machine_open": True}))
    if lot.random() < 0.5:
        told.append((7200 + lot.randrange(9000), "open", {**seen, "sg_machine_open": False}))
    if lot.random() < 0.15:
        told.append((18000 + lot.randrange(900), "click", {**seen, "url": "https://a.example/"}))
    if lot.random() < 0.02:
        told.append((20000, lot.choice(["unsubscribe", "group_unsubscribe"]), {}))
    if lot.random() < 0.005:
        told.append((21000, "spamreport", {}))
    if lot.random() < 0.01:
        told.append((30000, "something_new", {"field": "unknown"}))
    return told


def _add(
    made: Corpus,
    number: int,
    key: str,
    offset: int,
    word: str,
    more: dict[str, Any],
    lot: random.Random,
) -> None:
    event_id = f"{lot.getrandbits(96):024x}-{word}"
    body = {
        "email": address(number),
        "timestamp": int(SENT.timestamp()) + offset,
        "event": word,
        "sg_event_id": event_id,
        "sg_message_id": f"m{number}.recvd-5f-{number % 97}.0",
        "smtp-id": f"<{key}@example.com>",
        "category": ["campaign-1"],
        "send_key": key,
        **more,
    }
    made.bodies.append(_json(body))
    kind = _CALLED.get(word, word)
    if more.get("type") == "blocked":
        kind = "blocked"
    made.kinds[event_id] = kind if kind in _STRENGTH else "other"
    counted = "delivered" if more.get("sg_machine_open") else kind
    if counted in _STRENGTH:
        made.status[key] = max(made.status[key], counted, key=_STRENGTH.index)
    reason = (
        kind if kind in _REASONS else "bounce" if more.get("reason") == "Bounced Address" else ""
    )
    if reason:
        before = made.stopped.get(number, "")
        made.stopped[number] = max(before, reason, key=_REASONS.index)


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def posts_of(events: Corpus, deliveries: int, lot: random.Random) -> list[Post]:
    """All copies of all events in shuffled batches, with corrupt elements and forged posts among them."""
    copies = list(range(len(events.bodies)))
    copies += lot.choices(range(len(events.bodies)), k=deliveries - len(copies))
    lot.shuffle(copies)
    posts: list[Post] = []
    start = 0
    while start < len(copies):
        part = copies[start : start + lot.randint(20, 400)]
        start += len(part)
        elements = [events.bodies[index] for index in part]
        for _ in range(sum(lot.random() < 0.01 for _ in part)):
            elements.insert(lot.randrange(len(elements) + 1), lot.choice(events.corrupt))
        posts.append((len(part), b"[" + b",".join(elements) + b"]", ""))
    for number in range(max(3, len(posts) // 100)):
        forged = lot.choice(("unsigned", "other key", "changed"))
        posts.append((0, b"[" + events.evil(number) + b"]", forged))
    lot.shuffle(posts)
    return posts
