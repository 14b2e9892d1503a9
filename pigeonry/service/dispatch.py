"""One sender at work on one campaign: lanes that hand over, and one thread that fences and records.

A message is fenced and that is committed before its first byte leaves; what came of it is recorded with
the fence of the next ones in one transaction, so several lanes share a commit.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pigeonry.config import Home
from pigeonry.delivery import guard
from pigeonry.delivery.base import parts
from pigeonry.delivery.headers import UnsafeHeader
from pigeonry.delivery.links import Links
from pigeonry.delivery.render import CompiledMail, Recipient, compile_mail
from pigeonry.domain import Brief, ConsentBasis
from pigeonry.domain.clock import Clock
from pigeonry.domain.failpoint import failpoint
from pigeonry.domain.message import HandOver, MessageState, Outcome, OutgoingMessage, Sender
from pigeonry.domain.progress import Progress
from pigeonry.errors import OutsideFailure, PigeonryError
from pigeonry.service import holding
from pigeonry.service.journal import Journal
from pigeonry.service.landing import Landed, Trouble, recorded
from pigeonry.service.pace import Pace, Wait
from pigeonry.service.reconcile import reconcile
from pigeonry.service.tracking import mark_links
from pigeonry.store import campaigns, fence, handovers, messages, reaping
from pigeonry.store.fence import Verdict
from pigeonry.store.handovers import Claim
from pigeonry.store.session import Database, Session

# A fenced mail may not wait longer than this for its first byte (reliability, G3): a process that was
# paused between the two gives the message back instead.
FENCE_SECONDS = 2.0
_STORE_TRIES = 3
_POLL = 0.25  # seconds between looks at a stop, a pause or somebody else's lease
_RECONCILE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Ready:
    claim: Claim
    mail: OutgoingMessage
    zones: Sequence[ZoneInfo]  # where the lead may live


@dataclass
class Dispatch:
    """One sender at work on one campaign."""

    db: Database
    home: Home
    campaign_id: int
    wave: int | None
    sender: Sender
    owner: str
    journal: Journal
    brief: Brief
    links: Links
    clock: Clock
    progress: Progress
    stop: threading.Event
    lanes: int
    patience: float
    handed_over: int = 0
    halted: bool = False  # the campaign is paused or cancelled, or everything is on hold
    _queue: deque[_Ready] = field(default_factory=deque)
    _compiled: dict[int, CompiledMail] = field(default_factory=dict)
    _rest_until: datetime | None = None  # the pace is used up until then
    _reconcile_at: float = 0.0

    def __post_init__(self) -> None:
        self.settings = self.home.settings
        sending = self.settings.sending
        self._pace = Pace(
            sending,
            channel=self.sender.name,
            sender_domain=self.brief.sender.email.rpartition("@")[2],
        )
        self._trouble = Trouble(self.sender.name, self.campaign_id, self.patience)
        self._started_at, self._started_awake = self.clock(), _awake()
        self._beat_at = time.monotonic() + holding.BEAT_SECONDS
        self._tracked = mark_links(self.db, self.home, self.campaign_id, self.brief.link)
        self._pacer = guard.Pacer(sending.per_second)
        self._quiet = guard.quiet_hours(sending.quiet_from, sending.quiet_to)
        self._gate = fence.Gate(
            max_seconds=self.sender.max_seconds,
            cap=sending.frequency_cap,
            cap_days=guard.FREQUENCY_DAYS,
            channel=self.sender.name,
        )
        with self.db.read() as session:
            counts = messages.counts(session, self.campaign_id, wave=self.wave)
        self._total = sum(counts.values())
        self._done = self._total - sum(
            counts[state]
            for state in (MessageState.PLANNED, MessageState.CLAIMED, MessageState.HANDING_OVER)
        )

    def run(self) -> None:
        """Until nothing is left, a stop, or a pause. Every hand-over under way is recorded first, also
        when an error or Ctrl-C ends it."""
        flying: dict[Future[Landed], Claim] = {}
        with ThreadPoolExecutor(self.lanes, thread_name_prefix="lane") as pool:
            try:
                self._loop(pool, flying)
            finally:
                wait(flying)
                self._record_and_fence([future.result() for future in flying], set(), room=0)

    def _loop(self, pool: ThreadPoolExecutor, flying: dict[Future[Landed], Claim]) -> None:
        idle_since: float | None = None
        while True:
            landed = self._landed(flying)
            self._beat()
            going = self._going()
            if going and not self._queue and not self._is_down():
                if not flying:
                    self._reconcile()
                self._claim()
            poisonous = self._poisonous(landed)
            trouble = any(
                item.bug or (item.blames_channel and item.claim.id not in poisonous)
                for item in landed
            )
            room = self.lanes - len(flying) if going and not trouble else 0
            cleared, fenced_at = self._record_and_fence(landed, poisonous, room)
            for ready in cleared:
                flying[pool.submit(self._hand_over, ready, fenced_at)] = ready.claim
            self._judge(landed, poisonous)
            if landed or cleared:
                idle_since = None
            if flying:
                continue
            if not self._going():
                return
            if not self._queue or self._is_down():
                idle_since = idle_since or time.monotonic()
                if not self._wait_for_more(time.monotonic() - idle_since):
                    return

    def _going(self) -> bool:
        return not self.stop.is_set() and not self.halted

    def _is_down(self) -> bool:
        resting = self._rest_until is not None and self.clock() < self._rest_until
        return resting or self._trouble.seconds > 0

    def _beat(self) -> None:
        """Say that this sender is alive, and notice a clock that jumped under it."""
        if time.monotonic() < self._beat_at:
            return
        self._beat_at = time.monotonic() + holding.BEAT_SECONDS
        now = self.clock()
        jump = (now - self._started_at).total_seconds() - (_awake() - self._started_awake)
        if abs(jump) > self.settings.sending.clock_step_seconds:
            words = f"the clock jumped by {jump:+.0f} s while mail was being sent"
            holding.stop(self.db, reason=words, now=now)
        holding.beat(self.db, self.home, now=now)

    def _landed(self, flying: dict[Future[Landed], Claim]) -> list[Landed]:
        """What has come back. Waits when no lane is free or there is nothing to use one for."""
        if not flying:
            return []
        nothing_to_do = not self._queue or self._is_down() or not self._going()
        if len(flying) == self.lanes or nothing_to_do:
            wait(flying, return_when=FIRST_COMPLETED)
        elif (pause := self._pacer.wait(time.monotonic())) > 0:
            wait(flying, pause, return_when=FIRST_COMPLETED)
        done = [future for future in flying if future.done()]
        for future in done:
            del flying[future]
        return [future.result() for future in done]

    def _claim(self) -> None:
        settings, now = self.settings.sending, self.clock()
        with self.db.write() as session:
            claims = handovers.claim(
                session,
                campaign_id=self.campaign_id,
                owner=self.owner,
                now=now,
                lease_seconds=settings.lease_seconds,
                limit=settings.batch,
                wave=self.wave,
            )
            new = {claim.variant_id for claim in claims} - self._compiled.keys()
            texts = messages.texts(session, new) if new else {}
            failpoint("claim.before_commit")
        failpoint("claim.after_commit")
        for variant_id, text in texts.items():
            try:
                self._compiled[variant_id] = compile_mail(
                    text.copy,
                    self.brief,
                    text.language,
                    campaign_id=self.campaign_id,
                    arm=text.arm,
                    tracked=self._tracked,
                )
            except PigeonryError as error:
                error.where = f"campaign {self.campaign_id}, variant {variant_id}: {error.where}"
                raise
        for claim in claims:
            self._prepare(claim, now)

    def _prepare(self, claim: Claim, now: datetime) -> None:
        basis = ConsentBasis(claim.basis) if claim.basis else ConsentBasis.EXPRESS
        recipient = Recipient(claim.lead_id, claim.email, claim.first_name, claim.last_name, basis)
        try:
            mail = self._compiled[claim.variant_id].render(
                recipient, self.links, send_key=claim.send_key, at=now
            )
        except UnsafeHeader as error:
            with self.db.write() as session:
                handovers.refuse(
                    session, claim, owner=self.owner, reason=f"{error.where}: {error.what}"
                )
            self._done += 1
            return
        zones: Sequence[ZoneInfo] = ()
        if self._quiet is not None:
            zones = guard.zones(
                claim.timezone, claim.country, self.settings.audience.default_country
            )
        self._queue.append(_Ready(claim, mail, zones))

    def _poisonous(self, landed: list[Landed]) -> set[int]:
        """Mails that the channel refuses each time as if it were down, while it takes others."""
        suspects = [item.claim.id for item in landed if item.blames_channel]
        if not suspects:
            return set()
        with contextlib.suppress(OutsideFailure), self.db.read() as session:
            return handovers.poisonous(
                session,
                suspects,
                channels=[channel.name for channel in parts(self.sender)],
                tries=self.settings.sending.max_attempts - 1,
            )
        return set()  # the next refusal will tell

    def _record_and_fence(
        self, landed: list[Landed], poisonous: set[int], room: int
    ) -> tuple[list[_Ready], float]:
        """One transaction: what came back is written down, and the next ones pass the last gate."""
        take = 0
        if room and self._queue and not self._is_down():
            pause = self._pacer.wait(time.monotonic())
            if pause > 0 and not landed:
                self.stop.wait(min(pause, _POLL))
                pause = self._pacer.wait(time.monotonic())
            # With a cap on the pace every hand-over has a moment of its own.
            take = 0 if pause > 0 else 1 if self.settings.sending.per_second else room
        if not landed and not take:
            return [], 0.0
        # In the order of their ids, as everybody locks them.
        results = [
            recorded(item, self.settings.sending, poisonous=item.claim.id in poisonous)
            for item in sorted(landed, key=lambda item: item.claim.id)
        ]
        last: OutsideFailure | None = None
        for _ in range(_STORE_TRIES):
            queue = deque(self._queue)
            try:
                fenced_at = _awake()
                with self.db.write() as session:
                    handovers.record(session, results, owner=self.owner)
                    if results:
                        failpoint("record.before_commit")
                    cleared, halted = self._fence(session, queue, take)
                    if cleared:
                        failpoint("fence.before_commit")
                if results:
                    failpoint("record.after_commit")
                if cleared:
                    failpoint("fence.after_commit")
            except OutsideFailure as error:
                last = error
                self.stop.wait(_POLL)
                continue
            self._queue = queue
            self.halted = self.halted or halted
            for _ready in cleared:
                self._pacer.take(time.monotonic())
            return cleared, fenced_at
        assert last is not None
        raise last

    def _fence(
        self, session: Session, queue: deque[_Ready], take: int
    ) -> tuple[list[_Ready], bool]:
        """Those of the next `take` that may leave, and whether this sender has to stop."""
        now = self.clock()
        chosen = self._admitted(session, queue, take, now)
        claims = [ready.claim for ready in chosen]
        verdicts = fence.fence(session, claims, owner=self.owner, now=now, gate=self._gate)
        if Verdict.LEASE in verdicts:
            lease = timedelta(seconds=self.settings.sending.lease_seconds)
            handovers.renew(session, owner=self.owner, until=now + lease)
            again = fence.fence(session, claims, owner=self.owner, now=now, gate=self._gate)
            # Who was gone before is no longer ours; who may leave says GO again.
            verdicts = [
                second if first in (Verdict.LEASE, Verdict.GO) else first
                for first, second in zip(verdicts, again, strict=True)
            ]
        cleared = [
            ready for ready, said in zip(chosen, verdicts, strict=True) if said is Verdict.GO
        ]
        self._done += sum(said is Verdict.CANCELLED for said in verdicts)
        return cleared, any(said in (Verdict.PAUSED, Verdict.HELD) for said in verdicts)

    def _admitted(
        self, session: Session, queue: deque[_Ready], take: int, now: datetime
    ) -> list[_Ready]:
        """The next ones that neither quiet hours nor the pace keep back; those leave the queue."""
        chosen: list[_Ready] = []
        while queue and len(chosen) < take:
            ready = queue.popleft()
            until = guard.quiet_until(now, self._quiet, ready.zones)
            if until is None:
                chosen.append(ready)
            else:
                self._defer(session, ready, until, "quiet hours")
        if not self._pace.limited or not chosen:
            return chosen
        domains = [ready.mail.to_email.rpartition("@")[2].lower() for ready in chosen]
        waits = self._pace.admit(session, domains, now)
        resting: list[tuple[_Ready, Wait]] = []
        for ready, pause in zip(chosen, waits, strict=True):
            if pause is not None and not pause.everybody:
                self._defer(session, ready, pause.until, pause.reason)
            elif pause is not None:
                resting.append((ready, pause))
        if resting:
            self._rest_until = max(pause.until for _, pause in resting)
            queue.extendleft(ready for ready, _ in reversed(resting))
        return [ready for ready, pause in zip(chosen, waits, strict=True) if pause is None]

    def _defer(self, session: Session, ready: _Ready, until: datetime, reason: str) -> None:
        handovers.defer(session, ready.claim, owner=self.owner, until=until, reason=reason)

    def _hand_over(self, ready: _Ready, fenced_at: float) -> Landed:
        started = self.clock()
        bug: Exception | None = None
        if _awake() - fenced_at > FENCE_SECONDS:
            reason = "this process was paused between the fence and the hand-over"
            result = HandOver(Outcome.RETRY, reason=reason, channel_down=True)
            return Landed(ready.claim, result, started, self.clock(), late=True)
        key, epoch = ready.claim.send_key, ready.claim.epoch
        try:
            self.journal.begin(key, epoch)
        except OSError as error:
            reason = f"the journal of hand-overs cannot be written: {error.strerror or error}"
            result = HandOver(Outcome.RETRY, reason=reason, channel_down=True)
            return Landed(ready.claim, result, started, self.clock())
        try:
            result = self.sender.hand_over(ready.mail)
        except UnsafeHeader as error:
            result = HandOver(Outcome.REFUSED, reason=str(error))
        except Exception as error:  # a sender's bug: recorded as unknown, then raised
            bug = error
            result = HandOver(Outcome.UNKNOWN, reason=f"{type(error).__name__}: {error}"[:200])
        with contextlib.suppress(OSError):  # then a kill leaves this one unknown
            self.journal.end(key, epoch, result)
        return Landed(ready.claim, result, started, self.clock(), bug=bug)

    def _judge(self, landed: list[Landed], poisonous: set[int]) -> None:
        """What the hand-overs that came back say about the channel as a whole."""
        if not landed:
            return
        self.handed_over += sum(not item.late for item in landed)
        self._done += sum(item.final for item in landed) + len(poisonous)
        self.progress("sending", self._done, self._total)
        for item in landed:
            if item.bug is not None:
                raise item.bug
        self._trouble.judge(landed, poisonous)

    def _reconcile(self) -> None:
        if time.monotonic() >= self._reconcile_at:
            reconcile(self.db, self.home, self.sender, now=self.clock())
            self._reconcile_at = time.monotonic() + _RECONCILE_SECONDS

    def _wait_for_more(self, idle: float) -> bool:
        """False when nothing will come that is worth waiting for."""
        now = self.clock()
        if self._rest_until is not None and now < self._rest_until:
            if (self._rest_until - now).total_seconds() > self.patience - idle:
                return False
            self.stop.wait(_POLL)
            return True
        if self._is_down():
            self.stop.wait(min(self._trouble.seconds, _POLL))
            return True
        with self.db.read() as session:
            due = reaping.next_due(session, self.campaign_id, now=now, wave=self.wave)
            state = campaigns.get(session, self.campaign_id).state
        if due is None or state in ("paused", "cancelled"):
            return False
        left = (due - now).total_seconds()
        if left > self.patience - idle or idle > self.patience:
            return False
        self.stop.wait(min(max(left, 0.01), _POLL))
        return True


def _awake() -> float:
    """Seconds on a clock that also counts while the machine sleeps, where there is one."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)
