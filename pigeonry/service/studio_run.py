"""A campaign while it runs: how many messages stand where, how fast they leave, and what is waited for.

All who watch a campaign share one look: the database is asked at most once a second for each campaign, less
often where asking takes long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pigeonry.config import Home
from pigeonry.domain.clock import Clock, utc_now
from pigeonry.domain.message import MessageState
from pigeonry.service import campaigns, holding
from pigeonry.service.stages import STAGES
from pigeonry.store import acts, holds, messages, pulse
from pigeonry.store import campaigns as campaign_store
from pigeonry.store.acts import Action
from pigeonry.store.campaigns import CampaignRow
from pigeonry.store.messages import UncertainMessage
from pigeonry.store.session import Database, Session

LOOK_SECONDS = 1.0
_SHARE = 0.05  # of the time that looking may take; a look of 200 ms is made each four seconds
_RATE_SECONDS = 10.0
_QUIET = "quiet hours"
_WISHES = frozenset({"the lead wants a pause", "frequency cap"})
_DEAD_SECONDS = holding.BEAT_SECONDS * 4  # a sender that works says so each BEAT_SECONDS
_MOVING = (MessageState.CLAIMED, MessageState.HANDING_OVER)
_WAITING = (MessageState.PLANNED, *_MOVING)
_PAGE = 50


class Because(StrEnum):
    """What a campaign waits for. Words for each are the page's."""

    START = "start"  # nobody has started a run
    APPROVAL = "approval"
    SENDING = "sending"  # it is approved, and nobody has said: send
    RIPENING = "ripening"
    PAUSED = "paused"
    HOLD = "hold"
    QUIET = "quiet"
    PACE = "pace"
    WISH = "wish"  # a lead's own pause or the cap on mails to one lead
    TROUBLE = "trouble"  # the channel, or a server behind it, does not take mail
    NOBODY = "nobody"  # messages wait and no sender is at work
    PARKED = "parked"  # a person has to say what became of some


_STUCK = frozenset({Because.PAUSED, Because.HOLD, Because.QUIET, Because.NOBODY, Because.WISH})


@dataclass(frozen=True, slots=True)
class Wait:
    """One reason; `until` where it is known, `messages` where some are meant, `said` as it was recorded."""

    because: Because
    messages: int = 0
    until: datetime | None = None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Where a campaign stands at `at`. `rate` is hand-overs a second over the last ten seconds; `seconds_left`
    None where it cannot be told."""

    campaign: int
    name: str
    stage: str
    state: str
    counts: Mapping[MessageState, int]
    held_out: int
    rate: float
    seconds_left: float | None
    waits: tuple[Wait, ...]
    at: datetime

    @property
    def planned(self) -> int:
        return sum(self.counts.values())

    @property
    def sent(self) -> int:
        return self.counts[MessageState.ACCEPTED]

    @property
    def waiting(self) -> int:
        return sum(self.counts[state] for state in _WAITING)

    @property
    def uncertain(self) -> int:
        return self.counts[MessageState.PARKED] + self.counts[MessageState.UNKNOWN]

    @property
    def final(self) -> int:
        return self.planned - self.waiting

    @property
    def over(self) -> bool:
        """Nothing will move any more by itself."""
        return self.state in ("done", "cancelled")

    def to_json(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign,
            "name": self.name,
            "stage": self.stage,
            "state": self.state,
            "counts": {state.value: number for state, number in self.counts.items()},
            "planned": self.planned,
            "held_out": self.held_out,
            "sent": self.sent,
            "waiting": self.waiting,
            "uncertain": self.uncertain,
            "rate": round(self.rate, 2),
            "seconds_left": None if self.seconds_left is None else round(self.seconds_left),
            "waits": [
                {
                    "because": wait.because.value,
                    "messages": wait.messages,
                    "until": wait.until,
                    "said": wait.said,
                }
                for wait in self.waits
            ],
            "at": self.at,
        }


def look(db: Database, home: Home, campaign_id: int, *, now: datetime) -> Snapshot:
    """One look. Raises NotFound."""
    sending = home.settings.sending
    with db.read() as session:
        row = campaign_store.get(session, campaign_id)
        counts = messages.counts(session, campaign_id)
        moving = any(counts[state] for state in _WAITING)
        channels = {row.channel, sending.channel, sending.fallback} - {""}
        since = now - timedelta(seconds=_RATE_SECONDS)
        left = pulse.left_since(session, campaign_id, channels, since) if moving else 0
        waits = _waits(session, row, counts, left, home, now)
    if row.state not in ("done", "cancelled") and moving:
        held = holding.look(db, home, now=now)
        if held is not None:
            waits = [Wait(Because.HOLD, until=None, said=held.reason), *waits]
    waiting = sum(counts[state] for state in _WAITING)
    rate = left / _RATE_SECONDS
    stuck = any(wait.because in _STUCK for wait in waits)  # then speed says nothing of the end
    return Snapshot(
        campaign=campaign_id,
        name=row.name,
        stage=row.stage,
        state=row.state,
        counts=counts,
        held_out=int(row.notes.get("assign_test", {}).get("held_out", 0)),
        rate=rate,
        seconds_left=waiting / rate if rate and waiting and not stuck else None,
        waits=tuple(waits),
        at=now,
    )


def _waits(
    session: Session,
    row: CampaignRow,
    counts: Mapping[MessageState, int],
    left: int,
    home: Home,
    now: datetime,
) -> list[Wait]:
    uncertain = counts[MessageState.PARKED] + counts[MessageState.UNKNOWN]
    found = [Wait(Because.PARKED, uncertain)] if uncertain else []
    if row.state in ("done", "cancelled"):
        return found
    if row.state == "paused":
        return [Wait(Because.PAUSED), *found]
    if STAGES.index(row.stage) < STAGES.index("approve"):
        return [Wait(Because.START)] if row.state == "waiting" or not _begun(session, row) else []
    if row.stage == "approve":
        return [Wait(Because.SENDING if row.approved_at else Because.APPROVAL)]
    if row.stage in ("assign_test", "assign_rest") and row.state == "waiting":
        return [Wait(Because.SENDING), *found]
    if row.stage == "ripen":
        return [Wait(Because.RIPENING, until=row.wait_until), *found]
    waiting = sum(counts[state] for state in _WAITING)
    if not waiting:
        return found
    for kept in pulse.kept_back(session, row.id, now=now):
        because = _because(kept.reason)
        if because is not None and (kept.until is not None or because is Because.TROUBLE):
            found.append(Wait(because, kept.messages, kept.until, kept.reason))
    seen = holds.last_seen(session)
    at_work = seen is not None and (now - seen).total_seconds() < _DEAD_SECONDS
    if not left and not at_work:
        found.append(Wait(Because.NOBODY, waiting))
    elif not left and counts[MessageState.CLAIMED] and _limited(home):
        found.append(Wait(Because.PACE, counts[MessageState.CLAIMED]))
    return found


def _begun(session: Session, row: CampaignRow) -> bool:
    """Whether the campaign has done a stage, or somebody has asked for a run of it."""
    started = (act.action is Action.STARTED for act in acts.of_campaign(session, row.id))
    return bool(row.notes) or any(started)


def _because(reason: str) -> Because | None:
    if reason == _QUIET:
        return Because.QUIET
    if reason.startswith(("pace:", "warm-up")):
        return Because.PACE
    if reason in _WISHES:
        return Because.WISH
    if reason.startswith("a person said"):
        return None
    return Because.TROUBLE


def _limited(home: Home) -> bool:
    sending = home.settings.sending
    return bool(sending.limits or sending.warmup_start or sending.per_second)


@dataclass
class _Shared:
    """The newest look at one campaign. `lock` is held while somebody looks."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    snapshot: Snapshot | None = None
    good_until: float = 0.0


class Watch:
    """Everybody's look at running campaigns, in one process."""

    def __init__(self, db: Database, home: Home, *, clock: Clock = utc_now) -> None:
        self._db, self._home, self._clock = db, home, clock
        self._shared: dict[int, _Shared] = {}
        self._lock = threading.Lock()
        self.looks = 0  # how often the database was asked

    def snapshot(self, campaign_id: int) -> Snapshot:
        """The look of this second. While somebody looks, others get the look before, if there is one: a
        database that is slow must not hold a thread for each of them."""
        with self._lock:
            shared = self._shared.setdefault(campaign_id, _Shared())
        if not shared.lock.acquire(blocking=shared.snapshot is None):
            assert shared.snapshot is not None
            return shared.snapshot
        try:
            began = time.monotonic()
            if shared.snapshot is not None and began < shared.good_until:
                return shared.snapshot
            self.looks += 1
            found = look(self._db, self._home, campaign_id, now=self._clock())
            took = time.monotonic() - began
            shared.snapshot = found
            shared.good_until = time.monotonic() + max(LOOK_SECONDS, took / _SHARE)
            return found
        except Exception:
            with self._lock:
                self._shared.pop(campaign_id, None)
            raise
        finally:
            shared.lock.release()

    def stale(self, campaign_id: int) -> None:
        """Somebody changed the campaign: the next one looks again."""
        with self._lock:
            self._shared.pop(campaign_id, None)


def under_way(db: Database) -> list[CampaignRow]:
    """Campaigns that are not over, newest first."""
    with db.read() as session:
        return campaign_store.in_state(session, "running", "waiting", "paused")[::-1]


def change(db: Database, campaign_id: int, word: str) -> str:
    """Pause, resume or cancel by name; the state afterwards. Raises KeyError for another word."""
    return {
        "pause": campaigns.pause,
        "resume": campaigns.resume,
        "cancel": campaigns.cancel,
    }[word](db, campaign_id)


def uncertain(db: Database, campaign_id: int, *, limit: int = _PAGE) -> list[UncertainMessage]:
    """Messages of which nobody knows whether they were sent, oldest first."""
    with db.read() as session:
        return messages.uncertain(session, campaign_id=campaign_id, limit=limit)
