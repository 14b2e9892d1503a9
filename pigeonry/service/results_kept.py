"""A campaign's results without going over all its mails each time: kept until something came back.

One source for every reader: the numbers are those of `results.campaign_results`, whoever worked them out.
"""

from __future__ import annotations

import importlib
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from pigeonry.config import Home
from pigeonry.domain.message import MessageState
from pigeonry.service.results import CampaignResults, campaign_results
from pigeonry.store import campaigns, events, messages, summaries
from pigeonry.store.session import Database, Session

if TYPE_CHECKING:
    from pydantic import TypeAdapter

# Mails of a campaign whose results may be worked out while somebody waits for a page.
AT_ONCE = 2_000
_LONGEST = timedelta(minutes=15)  # waiting for replies changes P(best) a little, too
_LOOKED_AT = 20_000  # new events among which one of the campaign is sought
_REMEMBERED = 128


@dataclass(frozen=True, slots=True)
class SeenResults:
    """Results as they were `at`. `late`: something has come in since."""

    results: CampaignResults
    at: datetime
    late: bool


def results_now(db: Database, home: Home, campaign_id: int, *, now: datetime) -> CampaignResults:
    """Worked out this moment, with this home's settings. Raises NotFound for an unknown campaign."""
    learning = home.settings.learning
    return campaign_results(
        db,
        campaign_id,
        now=now,
        mature_hours=learning.mature_hours,
        conversion_days=learning.conversion_days,
    )


def seen_results(
    db: Database, home: Home, campaign_id: int, *, now: datetime
) -> SeenResults | None:
    """The newest results that cost no waiting: a small campaign's as they are now, a large one's as
    `keep_results` left them, or None before it ever ran. Raises NotFound for an unknown campaign."""
    name = f"{db.url} {campaign_id}"
    with db.read() as session:
        seen = _made_from(session, home, campaign_id)
        found = [known for known in (_RECENT.get(name), _kept(session, campaign_id)) if known]
        for known in found:
            if not _late(session, campaign_id, known, seen, now):
                return SeenResults(known.results, known.at, late=False)
    if _sent(seen) <= AT_ONCE:
        fresh = _Known(results_now(db, home, campaign_id, now=now), now, seen)
        _RECENT.put(name, fresh)
        return SeenResults(fresh.results, now, late=False)
    newest = max(found, key=lambda known: known.at, default=None)
    return SeenResults(newest.results, newest.at, late=True) if newest else None


def keep_results(db: Database, home: Home, campaign_id: int, *, now: datetime) -> CampaignResults:
    """Work the results out and keep them for pages. Takes as long as the campaign is large."""
    with db.read() as session:
        seen = _made_from(session, home, campaign_id)
    results = results_now(db, home, campaign_id, now=now)
    with db.write() as session:
        summaries.put(
            session,
            summaries.results_of(campaign_id),
            _adapter().dump_python(results, mode="json"),
            at=now,
            made_from=seen,
        )
    return results


def keep_late_results(db: Database, home: Home, *, now: datetime) -> int:
    """Keep those of which something came back since; returns how many."""
    with db.read() as session:
        late = []
        for number in messages.accepted(session):
            known = _kept(session, number)
            seen = _made_from(session, home, number)
            if known is None or _late(session, number, known, seen, now):
                late.append(number)
    for number in late:
        keep_results(db, home, number, now=now)
    return len(late)


def warm() -> None:
    """Load what results need, half a second that the first to ask for any would wait."""
    for name in ("numpy.random", "scipy.special"):
        importlib.import_module(name)
    _adapter()


@dataclass(frozen=True, slots=True)
class _Known:
    results: CampaignResults
    at: datetime
    made_from: Mapping[str, Any]


class _Recent:
    """Results that this process worked out lately; a page that is opened again does not wait again."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def get(self, name: str) -> _Known | None:
        return self._known.get(name)

    def put(self, name: str, known: _Known) -> None:
        self._known[name] = known
        while len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


_RECENT = _Recent()


def _kept(session: Session, campaign_id: int) -> _Known | None:
    row = summaries.get(session, summaries.results_of(campaign_id))
    if row is None:
        return None
    try:
        return _Known(_adapter().validate_python(row.facts, strict=False), row.at, row.made_from)
    except ValueError:  # kept by another version
        return None


def _made_from(session: Session, home: Home, campaign_id: int) -> dict[str, Any]:
    """What tells a small campaign's own events; a large one's would take too long to look through."""
    row = campaigns.get(session, campaign_id)
    counts = messages.counts(session, campaign_id)
    days = timedelta(days=home.settings.learning.conversion_days)
    until = row.finished_at + days if row.finished_at else None
    seen: dict[str, Any] = {
        "mails": {state.value: number for state, number in counts.items() if number},
        "conversions": events.count_conversions(session, since=row.created_at, until=until),
    }
    if _sent(seen) <= AT_ONCE:
        return seen | {"event": events.newest(session, campaign_id)}
    return seen | {"event_of_all": events.newest(session)}


def _sent(seen: Mapping[str, Any]) -> int:
    return int(seen["mails"].get(MessageState.ACCEPTED.value, 0))


def _late(
    session: Session, campaign_id: int, known: _Known, seen: Mapping[str, Any], now: datetime
) -> bool:
    if any(seen[name] != known.made_from.get(name) for name in ("mails", "conversions")):
        return True
    if known.results.ripe < 0.99 and now - known.at > _LONGEST:
        return True
    if "event" in seen:
        return bool(seen["event"] != known.made_from.get("event"))
    last, newest = int(known.made_from.get("event_of_all", -1)), int(seen["event_of_all"])
    if last == newest:
        return False
    if not 0 <= last <= newest <= last + _LOOKED_AT:
        return True
    return events.any_of_campaign(session, campaign_id, after_id=last, most=_LOOKED_AT)


@cache
def _adapter() -> TypeAdapter[CampaignResults]:
    from pydantic import TypeAdapter

    return TypeAdapter(CampaignResults)
