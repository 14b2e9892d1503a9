"""Asks the provider once a day for the stops that its webhook may have failed to tell us."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from feedback.events import SENDGRID
from pigeonry.config import Home
from pigeonry.delivery.base import secret_text
from pigeonry.delivery.sendgrid import Stop, stops
from pigeonry.domain.progress import Progress, silent
from pigeonry.service.events import ingest_events
from pigeonry.service.ingest_report import IngestReport
from pigeonry.store import pulls
from pigeonry.store.session import Database

EVERY = timedelta(hours=24)
# Entries may show up in their lists late; what was read before is known again by its id.
_OVERLAP = timedelta(hours=24)
_LONGEST_REASON = 300

# As their webhook would have told it. A block is a refusal for now and stops nobody.
_AS_EVENT: Mapping[str, Mapping[str, str]] = {
    "bounces": {"event": "bounce", "type": "bounce"},
    "blocks": {"event": "bounce", "type": "blocked"},
    "invalid_emails": {"event": "dropped", "reason": "Invalid"},
    "spam_reports": {"event": "spamreport"},
    "unsubscribes": {"event": "unsubscribe"},
}


@dataclass(frozen=True, slots=True)
class PullReport:
    """`lists` counts the entries of each list; `since` is None for the first pull, which reads all."""

    since: datetime | None
    lists: Mapping[str, int]
    ingested: IngestReport = field(default_factory=IngestReport)


def pull_stops(
    db: Database,
    home: Home,
    *,
    now: datetime,
    progress: Progress = silent,
    env: Mapping[str, str] = os.environ,
) -> PullReport:
    """Read SendGrid's lists since the last pull and take their entries in like events. Safe to run twice:
    an entry is taken in once, so that who confirmed anew later is not stopped by what came before.

    Raises OutsideFailure when a list is not handed over: the next pull then begins where this one did.
    """
    with db.read() as session:
        last = pulls.last(session)
    since = None if last is None else last - _OVERLAP
    key = secret_text(home, "sendgrid_key", env)
    counts: Counter[str] = Counter()
    report = IngestReport()
    for page in stops(home.settings.sendgrid, key, since=since, until=now):
        counts.update(stop.kind for stop in page)
        body = _as_events(page, home.secret("suppression.key"))
        report += ingest_events(db, home, body, source=SENDGRID, now=now)
        progress("stops", counts.total(), None)
    with db.write() as session:
        pulls.add(session, began=now, result={"lists": dict(counts), "applied": report.applied})
    return PullReport(since, dict(counts), report)


def is_due(db: Database, home: Home, *, now: datetime) -> bool:
    """Whether this home sends by SendGrid and has not asked for a day."""
    sending = home.settings.sending
    if "sendgrid" not in (sending.channel, sending.fallback):
        return False
    with db.read() as session:
        last = pulls.last(session)
    return last is None or last + EVERY <= now


def _as_events(page: Sequence[Stop], key: bytes) -> bytes:
    return json.dumps([_as_event(stop, key) for stop in page], sort_keys=True).encode()


def _as_event(stop: Stop, key: bytes) -> dict[str, Any]:
    seconds = int(stop.at.timestamp())
    text = f"{stop.kind} {stop.address.strip().lower()} {seconds}"
    return {
        "email": stop.address,
        "timestamp": seconds,
        "reason": stop.reason[:_LONGEST_REASON],
        **_AS_EVENT[stop.kind],
        # Keyed, so that the id gives no address away to whoever has a list of them.
        "sg_event_id": f"pull-{hmac.digest(key, text.encode(), hashlib.sha256).hex()[:40]}",
    }
