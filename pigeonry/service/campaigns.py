"""The stage machine of a campaign: which step comes next is data, and every step may run twice.

A flow wraps one task around a stage; the command line runs the same stages directly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pigeonry.config import Home
from pigeonry.domain.brief import Brief
from pigeonry.domain.message import MessageState
from pigeonry.domain.progress import Progress, silent
from pigeonry.domain.variant import Variant
from pigeonry.errors import NotFound, Refused, WrongUse
from pigeonry.service.briefs import load
from pigeonry.store import campaigns as store
from pigeonry.store.session import Database

if TYPE_CHECKING:
    from pigeonry.service.sending import SendReport

Clock = Callable[[], datetime]

STAGES = (
    "audience",
    "arms",
    "write",
    "score",
    "approve",
    "assign_test",
    "send_test",
    "ripen",
    "assign_rest",
    "send_rest",
    "finish",
)
END = "done"


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Run:
    """What a stage may use. `approve_as` names who approves ("" = nobody yet); `send` allows mail."""

    db: Database
    home: Home
    campaign_id: int
    brief: Brief
    clock: Clock = utc_now
    progress: Progress = silent
    approve_as: str = ""
    send: bool = False
    stop: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class StageResult:
    """`done` is the stage that ran ("" when it had to wait), `next` the one that comes now."""

    campaign_id: int
    done: str
    next: str
    state: str
    note: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class CampaignView:
    """Where a campaign stands. Money in millionths of `currency`."""

    campaign: int
    name: str
    stage: str
    state: str
    planned: int
    held_out: int
    sent: int
    failed: int
    cancelled: int
    parked: int
    waiting: int
    variants: tuple[Variant, ...]
    cost_micros: int
    currency: str
    calls: int
    cache_hits: int
    notes: Mapping[str, Any]
    wait_until: datetime | None
    approved_by: str


def create_campaign(
    db: Database, home: Home, brief_text: str, *, where: str, occurrence: str, now: datetime
) -> int:
    """The campaign of this brief's name and occurrence; made when it does not exist yet.

    Raises Refused when one of that name was made from another text and is not finished: people could
    get two versions of one mail.
    """
    from generation.brief import parse_brief

    brief = parse_brief(brief_text, where=where)
    with db.write() as session:
        found = store.find(session, name=brief.name, occurrence=occurrence)
        if found is None:
            return store.create(
                session,
                name=brief.name,
                brief_source=brief_text,
                occurrence=occurrence,
                stage=STAGES[0],
                seed=_seed(brief.name, occurrence),
                channel=home.settings.sending.channel,
                at=now,
            )
        if store.brief_source(session, found) != brief_text:
            raise Refused(
                f"campaign {found} of the same name was made from another text",
                where=where,
                fix=f"rename this brief, or give it an occurrence of its own (--occurrence), "
                f"or look at that one: `pigeonry campaign show {found}`",
            )
    return found


def _seed(name: str, occurrence: str) -> int:
    """A seed that the same campaign has on every machine, so that its lots can be drawn again."""
    import hashlib

    digest = hashlib.sha256(f"{name}\x00{occurrence}".encode()).digest()
    return int.from_bytes(digest[:4], "big")


def run_campaign(
    db: Database,
    home: Home,
    campaign_id: int,
    *,
    until: str = "",
    clock: Clock = utc_now,
    progress: Progress = silent,
    approve_as: str = "",
    send: bool = False,
    stop: threading.Event | None = None,
) -> StageResult:
    """Run stages until the campaign is done, has to wait, or has done `until`."""
    if until and until not in STAGES:
        raise WrongUse(f"no stage {until!r}", where="until", fix=f"one of {', '.join(STAGES)}")
    while True:
        result = run_stage(
            db,
            home,
            campaign_id,
            clock=clock,
            progress=progress,
            approve_as=approve_as,
            send=send,
            stop=stop,
        )
        if not result.done or result.next == END or result.done == until:
            return result


def run_stage(
    db: Database,
    home: Home,
    campaign_id: int,
    *,
    clock: Clock = utc_now,
    progress: Progress = silent,
    approve_as: str = "",
    send: bool = False,
    stop: threading.Event | None = None,
) -> StageResult:
    """Run the campaign's next stage. Safe to run twice, also by two runners at once."""
    row, brief = load(db, campaign_id)
    if row.stage == END or row.state in ("cancelled", "paused"):
        return StageResult(campaign_id, "", row.stage, row.state, {})
    run = Run(
        db,
        home,
        campaign_id,
        brief,
        clock,
        progress,
        approve_as,
        send,
        stop or threading.Event(),
    )
    began = time.monotonic()
    note = _WORK[row.stage](run)
    if note is not None:
        note = {**note, "seconds": round(time.monotonic() - began, 1)}
    with db.write() as session:
        state = store.get(session, campaign_id).state
        moves = state in ("running", "waiting")  # a pause or a cancellation meanwhile stands
        if note is None:  # has to wait
            state = "waiting" if moves else state
            store.update_state(session, campaign_id, state=state)
            return StageResult(campaign_id, "", row.stage, state, {})
        then = _next(row.stage)
        store.advance(session, campaign_id, done=row.stage, then=then, note=note)
        if moves:
            state = "done" if then == END else "running"
            finished = clock() if then == END else None
            store.update_state(session, campaign_id, state=state, finished_at=finished)
    return StageResult(campaign_id, row.stage, then, state, note)


def _next(stage: str) -> str:
    place = STAGES.index(stage) + 1
    return STAGES[place] if place < len(STAGES) else END


def _audience(run: Run) -> dict[str, Any]:
    from pigeonry.service.segments import refresh_segments

    mailable = _mailable(run)
    report = refresh_segments(run.db, run.home, now=run.clock(), progress=run.progress)
    return {
        "mailable": mailable,
        "segments": len(report.segments),
        "moved": report.moved,
        "embedded": report.embedded,
        "reused": report.reused,
        "embedder": report.embedder,
        "note": report.note,
    }


def _mailable(run: Run) -> int:
    """How many may be written to. Raises when there is nobody: writing copy would be for nothing."""
    from pigeonry.store import leads

    with run.db.read() as session:
        total = leads.count(session)
        mailable = leads.count_mailable(session, countries=run.brief.countries)
    if not total:
        raise NotFound(
            "there are no leads",
            where=f"campaign {run.campaign_id}",
            fix="import some first: `pigeonry leads import FILE --consent BASIS:SOURCE`",
        )
    if not mailable:
        raise Refused(
            f"none of {total:,} leads may be written to: each lacks consent, is suppressed, or is "
            "outside the brief's countries",
            where=f"campaign {run.campaign_id}",
            fix="import them with the consent that you hold: --consent BASIS:SOURCE",
        )
    return mailable


def _arms(run: Run) -> dict[str, Any]:
    from generation.prompts import load_prompts
    from pigeonry.service.learning import choose_arms

    chosen = choose_arms(run.db, run.home, run.campaign_id, load_prompts(), now=run.clock())
    return {letter: plan.prompt for letter, plan in chosen.items()}


def _write(run: Run) -> dict[str, Any]:
    from pigeonry.service.variants import write_variants

    report = write_variants(
        run.db, run.home, run.campaign_id, now=run.clock(), progress=run.progress
    )
    return {
        "variants": len(report.variants),
        "calls": report.calls,
        "cache_hits": report.cache_hits,
        "refused": dict(report.refused),
        "cost_micros": report.cost_micros,
        "currency": report.currency,
        "local_model": report.local_model,
        "note": report.note,
    }


def _score(run: Run) -> dict[str, Any]:
    from pigeonry.service.learning import score_variants

    report = score_variants(run.db, run.home, run.campaign_id, now=run.clock())
    return {"cold_start": report.cold_start, "model": report.model, "note": report.note}


def _approve(run: Run) -> dict[str, Any] | None:
    with run.db.write() as session:
        row = store.get(session, run.campaign_id)
        if row.approved_at is None:
            if not run.approve_as:
                return None
            store.update_state(
                session, run.campaign_id, approved_by=run.approve_as, approved_at=run.clock()
            )
            return {"by": run.approve_as}
    return {"by": row.approved_by}


def _assign_test(run: Run) -> dict[str, Any] | None:
    from pigeonry.service.assigning import assign_test

    if not run.send:  # drawing lots and planning mail is the start of sending
        return None
    report = assign_test(run.db, run.home, run.campaign_id, now=run.clock(), progress=run.progress)
    return {
        "eligible": report.eligible,
        "held_out": report.held_out,
        "planned": report.planned,
        "shares": report.shares,
    }


def _assign_rest(run: Run) -> dict[str, Any] | None:
    from pigeonry.service.assigning import assign_rest

    if not run.send:
        return None
    report = assign_rest(run.db, run.home, run.campaign_id, now=run.clock(), progress=run.progress)
    return {"planned": report.planned, "shares": report.shares}


def _send(run: Run) -> dict[str, Any] | None:
    from pigeonry.service.sending import send_campaign

    if not run.send:
        return None
    report: SendReport = send_campaign(
        run.db,
        run.home,
        run.campaign_id,
        now=run.clock,
        progress=run.progress,
        stop=run.stop,
    )
    if report.waiting:
        return None  # stopped, paused, in quiet hours or throttled: there is more to send
    return {
        "sent": report.sent,
        "failed": report.failed,
        "cancelled": report.cancelled,
        "parked": report.parked,
        "unknown": report.unknown,
    }


def _ripen(run: Run) -> dict[str, Any] | None:
    """Wait until the test wave is ripe, then learn from what came back."""
    from pigeonry.service.events import drain_events
    from pigeonry.service.learning import learn

    now = run.clock()
    with run.db.write() as session:
        row = store.get(session, run.campaign_id)
        until = row.wait_until
        if until is None:
            until = now + timedelta(hours=run.brief.experiment.wait_hours)
            store.update_state(session, run.campaign_id, wait_until=until)
    if now < until:
        return None
    drain_events(run.db, run.home, now=now, progress=run.progress)
    report = learn(run.db, run.home, now=now, progress=run.progress)
    return {"waited_hours": run.brief.experiment.wait_hours, "updated": report.updated}


def _finish(_run: Run) -> dict[str, Any]:
    return {}


_WORK: dict[str, Callable[[Run], dict[str, Any] | None]] = {
    "audience": _audience,
    "arms": _arms,
    "write": _write,
    "score": _score,
    "approve": _approve,
    "assign_test": _assign_test,
    "send_test": _send,
    "ripen": _ripen,
    "assign_rest": _assign_rest,
    "send_rest": _send,
    "finish": _finish,
}


def view(db: Database, campaign_id: int) -> CampaignView:
    """Everything that `campaign run` and `campaign show` print."""
    from pigeonry.store import assignments, ledger, messages, variants

    with db.read() as session:
        row = store.get(session, campaign_id)
        counts = messages.counts(session, campaign_id)
        held_out = assignments.held_out(session, campaign_id)
        spent = ledger.spent(session, campaign_id)
        texts = tuple(variants.of_campaign(session, campaign_id))
    open_states = (MessageState.PLANNED, MessageState.CLAIMED, MessageState.HANDING_OVER)
    return CampaignView(
        campaign=row.id,
        name=row.name,
        stage=row.stage,
        state=row.state,
        planned=sum(counts.values()),
        held_out=held_out,
        sent=counts.get(MessageState.ACCEPTED, 0),
        failed=counts.get(MessageState.FAILED, 0),
        cancelled=counts.get(MessageState.CANCELLED, 0),
        parked=counts.get(MessageState.PARKED, 0) + counts.get(MessageState.UNKNOWN, 0),
        waiting=sum(counts.get(state, 0) for state in open_states),
        variants=texts,
        cost_micros=spent.cost_micros,
        currency=spent.currency,
        calls=spent.calls,
        cache_hits=spent.cache_hits,
        notes=row.notes,
        wait_until=row.wait_until,
        approved_by=row.approved_by,
    )


def approve(db: Database, campaign_id: int, *, by: str, now: datetime) -> None:
    """Approve the variants as they are. Raises Refused before they are written."""
    with db.write() as session:
        row = store.get(session, campaign_id)
        if STAGES.index("approve") > _place(row.stage):
            raise Refused(
                "there is nothing to approve yet: the variants are not written",
                where=f"campaign {campaign_id}",
                fix="run it first: `pigeonry campaign run BRIEF.toml`",
            )
        if row.approved_at is None:
            store.update_state(session, campaign_id, approved_by=by, approved_at=now)


def _place(stage: str) -> int:
    return len(STAGES) if stage == END else STAGES.index(stage)


def pause(db: Database, campaign_id: int) -> str:
    """Hand-overs stop within a second: the fence looks at the state each time."""
    return _set_state(db, campaign_id, "paused", ("running", "waiting"))


def resume(db: Database, campaign_id: int) -> str:
    return _set_state(db, campaign_id, "running", ("paused",))


def cancel(db: Database, campaign_id: int) -> str:
    """For good: what is planned is cancelled; what has left has left."""
    from pigeonry.store import messages

    state = _set_state(db, campaign_id, "cancelled", ("running", "waiting", "paused"))
    with db.write() as session:
        messages.cancel_planned(session, campaign_id, reason="the campaign was cancelled")
    return state


def _set_state(db: Database, campaign_id: int, state: str, allowed: tuple[str, ...]) -> str:
    with db.write() as session:
        row = store.get(session, campaign_id)
        if row.state == state:
            return state
        if row.state not in allowed:
            raise Refused(
                f"a campaign that is {row.state} cannot become {state}",
                where=f"campaign {campaign_id}",
                fix=f"`pigeonry campaign show {campaign_id}` says where it stands",
            )
        store.update_state(session, campaign_id, state=state)
    return state
