"""A SIMULATION of recipients: reads the mails of an outbox as a mail program would and answers with the
events that a provider would report. It knows nothing of how we score or learn, and import-linter holds
it to that. Its tastes are invented; nothing measured on it says anything about real people.
"""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

LABEL = "SIMULATED recipients"

_URL = re.compile(r"https?://[^\s<>\"]+")

APPLE_PREFETCH = "Mozilla/5.0"  # all that Apple's prefetching proxy says of itself
BROWSER = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
SCANNER = "Mozilla/5.0 (compatible; MSIE 9.0; Windows NT 6.1) Barracuda Link Scanner"


@dataclass(frozen=True, slots=True)
class Mail:
    """What a recipient sees of a mail."""

    key: str
    to: str
    subject: str
    links: tuple[str, ...]
    unsubscribe: str
    arrived: datetime


@dataclass(frozen=True, slots=True)
class Taste:
    """Invented habits of one kind of reader. `click` is the chance to click a neutral mail; the others
    multiply it for subjects that ask, that name an offer or a figure, and that only promise."""

    click: float
    asks: float
    names: float
    promises: float


# One taste for each persona of examples/leads.csv, and one for everybody else.
TASTES: Mapping[str, Taste] = {
    "freelancer": Taste(0.10, 1.9, 0.7, 0.9),
    "parent": Taste(0.09, 0.8, 0.8, 1.6),
    "shop": Taste(0.08, 0.6, 1.9, 0.9),
    "it": Taste(0.07, 0.5, 1.7, 0.7),
    "student": Taste(0.11, 1.7, 1.1, 0.6),
    "hr": Taste(0.08, 1.1, 0.7, 1.5),
}
ANYBODY = Taste(0.08, 1.0, 1.0, 1.0)

OPEN_PER_CLICK = 4.5  # opens by people for each click
MACHINE_OPEN = 0.25  # share of mailboxes whose provider fetches every picture at once
SCANNED = 0.03  # share of mailboxes behind a gateway that follows every link
BOUNCE = 0.008
UNSUBSCRIBE = 0.006
COMPLAINT = 0.0006


def mailbox(folder: Path, *, seen: set[str]) -> Iterator[Mail]:
    """The mails under `folder`, each named by its key, that are not in `seen` (which grows), in a fixed
    order."""
    for path in sorted(folder.rglob("*.eml")):
        if path.stem in seen:
            continue
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        key = str(message["X-Pigeonry-Key"])
        seen.add(path.stem)
        part = message.get_body(("plain",))
        text = part.get_content() if part is not None else ""
        unsubscribe = next(iter(_URL.findall(str(message["List-Unsubscribe"]))), "").rstrip(">,")
        yield Mail(
            key=key,
            to=str(message["To"].addresses[0].addr_spec),
            subject=str(message["Subject"]),
            links=tuple(link for link in dict.fromkeys(_URL.findall(text)) if link != unsubscribe),
            unsubscribe=unsubscribe,
            arrived=parsedate_to_datetime(str(message["Date"])),
        )


def answers(
    mails: Iterable[Mail], personas: Mapping[str, str], *, seed: int, hours: float = 72.0
) -> Iterator[dict[str, Any]]:
    """SendGrid-like events of the first `hours` after each mail. Same seed and address, same person:
    each mail draws from a generator of its own, so the order of files does not matter."""
    for mail in mails:
        lot = random.Random(f"{seed}:{mail.to}:{mail.subject}")  # noqa: S311 - not cryptography
        for event in _one(mail, TASTES.get(personas.get(mail.to, ""), ANYBODY), lot):
            if event["timestamp"] <= (mail.arrived + timedelta(hours=hours)).timestamp():
                yield event


def _one(mail: Mail, taste: Taste, lot: random.Random) -> Iterator[dict[str, Any]]:
    at = mail.arrived + timedelta(seconds=lot.uniform(1, 20))
    yield _event(mail, "processed", mail.arrived + timedelta(seconds=0.5))
    if lot.random() < BOUNCE:
        yield _event(mail, "bounce", at, type="bounce", reason="550 unknown user", status="5.1.1")
        return
    yield _event(mail, "delivered", at, response="250 OK")
    if lot.random() < MACHINE_OPEN:
        yield _event(
            mail,
            "open",
            at + timedelta(seconds=lot.uniform(1, 600)),
            useragent=APPLE_PREFETCH,
            sg_machine_open=True,
        )
    if lot.random() < SCANNED:
        for number, link in enumerate(mail.links):
            yield _event(
                mail, "click", at + timedelta(seconds=1 + number * 0.2), url=link, useragent=SCANNER
            )
    click = min(0.9, taste.click * _appeal(mail.subject, taste))
    opened = at + timedelta(hours=lot.lognormvariate(1.0, 1.2))
    if lot.random() < min(0.95, click * OPEN_PER_CLICK):
        yield _event(mail, "open", opened, useragent=BROWSER, sg_machine_open=False)
        if mail.links and lot.random() < 1 / OPEN_PER_CLICK:
            clicked = opened + timedelta(seconds=lot.uniform(8, 400))
            yield _event(mail, "click", clicked, url=mail.links[0], useragent=BROWSER)
        elif lot.random() < UNSUBSCRIBE / 0.3:
            yield _event(mail, "unsubscribe", opened + timedelta(seconds=lot.uniform(5, 60)))
    if lot.random() < COMPLAINT:
        yield _event(mail, "spamreport", opened + timedelta(minutes=5))


def _appeal(subject: str, taste: Taste) -> float:
    """How the invented reader likes a subject: shorter is a little better."""
    if "?" in subject:
        liking = taste.asks
    elif re.search(r"\d|%", subject):
        liking = taste.names
    else:
        liking = taste.promises
    return liking * (1.1 - min(len(subject), 60) / 300)


def _event(mail: Mail, kind: str, at: datetime, **more: Any) -> dict[str, Any]:
    stamp = int(at.timestamp())
    body = {
        "email": mail.to,
        "timestamp": stamp,
        "event": kind,
        "send_key": mail.key,
        "sg_message_id": f"{mail.key}.simulated",
        "smtp-id": f"<{mail.key}@simulated>",
        **more,
    }
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return {**body, "sg_event_id": digest[:32]}
