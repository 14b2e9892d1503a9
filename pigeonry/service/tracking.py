"""What a tracked mail tells us: which link leads where, and each open and click as an event of our own."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass
from datetime import datetime

from feedback.own import CLICK, OPEN
from pigeonry.config import Home
from pigeonry.delivery.tracking import TrackedLinks, Tracker, load_tracker
from pigeonry.store import mail_links
from pigeonry.store.session import Database


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asked for a link or a picture, as far as a web server can see."""

    user_agent: str
    ip: str


@dataclass(frozen=True, slots=True)
class Click:
    """Where the browser goes, and the line that is kept of it."""

    url: str
    hit: bytes


def mark_links(db: Database, home: Home, campaign_id: int, url: str) -> TrackedLinks | None:
    """Store a campaign's link and its hidden twin; None where nothing is tracked. May run twice."""
    tracker = load_tracker(home)
    if not (tracker.clicks or tracker.opens):
        return None
    with db.write() as session:
        return TrackedLinks(
            tracker,
            mail_links.ensure(session, campaign_id, url),
            mail_links.ensure(session, campaign_id, url, hidden=True),
        )


def click(
    db: Database, tracker: Tracker, token: str, visitor: Visitor, *, now: datetime
) -> Click | None:
    """None for a token that is not ours, whose link belongs to another campaign than its message, or
    whose message is no longer stored (its lead was erased)."""
    named = tracker.read_click(token)
    if named is None:
        return None
    with db.read() as session:
        link = mail_links.followed(session, named.link_id, named.message_id)
    if link is None:
        return None
    hit = _line(
        kind=CLICK,
        message=named.message_id,
        link=named.link_id,
        url=link.url,
        hidden=link.hidden,
        send_key=link.send_key,
        visitor=visitor,
        now=now,
    )
    return Click(link.url, hit)


def opened(
    db: Database, tracker: Tracker, token: str, visitor: Visitor, *, now: datetime
) -> bytes | None:
    """The line that is kept of an open, or None as for a click."""
    message_id = tracker.read_open(token)
    if message_id is None:
        return None
    with db.read() as session:
        send_key = mail_links.send_key(session, message_id)
    if send_key is None:
        return None
    return _line(
        kind=OPEN,
        message=message_id,
        link=0,
        url="",
        hidden=False,
        send_key=send_key,
        visitor=visitor,
        now=now,
    )


def _line(
    *,
    kind: str,
    message: int,
    link: int,
    url: str,
    hidden: bool,
    send_key: str,
    visitor: Visitor,
    now: datetime,
) -> bytes:
    return json.dumps(
        {
            "id": secrets.token_hex(16),
            "kind": kind,
            "message": message,
            "link": link,
            "url": url,
            "hidden": hidden,
            "send_key": send_key,
            "at": now.isoformat(),
            "useragent": visitor.user_agent[:500],
            "ip": visitor.ip[:40],
        }
    ).encode()
