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
        link = mail_links.followed(session, named.link_id, named.send_key)
    if link is None:
        return None
    hit = _line(
        kind=CLICK,
        send_key=named.send_key,
        link=named.link_id,
        url=link.url,
        hidden=link.hidden,
        visitor=visitor,
        now=now,
    )
    return Click(link.url, hit)


def opened(
    db: Database, tracker: Tracker, token: str, visitor: Visitor, *, now: datetime
) -> bytes | None:
    """The line that is kept of an open, or None as for a click."""
    send_key = tracker.read_open(token)
    if send_key is None:
        return None
    with db.read() as session:
        if not mail_links.stored(session, send_key):
            return None
    return _line(
        kind=OPEN,
        send_key=send_key,
        link=0,
        url="",
        hidden=False,
        visitor=visitor,
        now=now,
    )


def _line(
    *,
    kind: str,
    send_key: str,
    link: int,
    url: str,
    hidden: bool,
    visitor: Visitor,
    now: datetime,
) -> bytes:
    return json.dumps(
        {
            "id": secrets.token_hex(16),
            "kind": kind,
            "send_key": send_key,
            "link": link,
            "url": url,
            "hidden": hidden,
            "at": now.isoformat(),
            "useragent": visitor.user_agent[:500],
            "ip": visitor.ip[:40],
        }
    ).encode()
