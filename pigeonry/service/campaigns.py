"""The stage machine of a campaign: which step comes next is data, and every step may run twice.

A flow wraps one task around a stage; the command line runs the same stages directly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pigeonry.config import Home
from pigeonry.domain.clock import Clock, utc_now
from pigeonry.domain.message import MessageState
from pigeonry.domain.progress import Progress, silent
from pigeonry.domain.variant import Variant
from pigeonry.errors import BadInput, Refused, WrongUse
from pigeonry.service.briefs import load
from pigeonry.service.stages import STAGES, WORK, Run
from pigeonry.service.studio_refusals import StudioRefused
from pigeonry.store import campaigns as store
from pigeonry.store.session import Database

END = "done"  # where a campaign stands after its last stage


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
    _topic_can_be_declined(home, brief.topic, where)
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
                topic=brief.topic,
            )
        if store.brief_source(session, found) != brief_text:
            raise Refused(
                f"campaign {found} of the same name was made from another text",
                where=where,
                fix=f"rename this brief, or give it an occurrence of its own (--occurrence), "
                f"or look at that one: `pigeonry campaign show {found}`",
            )
    return found


def _topic_can_be_declined(home: Home, topic: str, where: str) -> None:
    """A topic that no preference page shows could not be declined."""
    offered = home.settings.privacy.topics
    if topic and topic not in offered:
        raise BadInput(
            f"topic {topic!r} is not one that people can decline",
            where=where,
            fix=f"add it to privacy.topics, or use one of: {', '.join(offered) or '(none yet)'}",
        )


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
    note = WORK[row.stage](run)
    if note is not None:
        note = {**note, "seconds": round(time.monotonic() - began, 1)}
    with db.write() as session:
        now_is = store.lock(session, campaign_id)
        state = now_is.state
        moves = state in ("running", "waiting")  # a pause or a cancellation meanwhile stands
        if row.stage == "approve" and now_is.approved_at is None:
            note = None  # the texts were sent back meanwhile
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


def approve(db: Database, campaign_id: int, *, by: str, now: datetime, seen: str = "") -> None:
    """Approve the variants as they are. Raises Refused before they are written, and, with the fingerprint of
    the texts that were `seen`, when a word has changed since."""
    from pigeonry.store import acts, variants

    with db.write() as session:
        row = store.lock(session, campaign_id)
        if STAGES.index("approve") > _place(row.stage):
            raise Refused(
                "there is nothing to approve yet: the variants are not written",
                where=f"campaign {campaign_id}",
                fix="run it first: `pigeonry campaign run BRIEF.toml`",
            )
        if row.approved_at is None:
            if seen and seen != variants.print_of(variants.of_campaign(session, campaign_id)):
                raise StudioRefused(
                    "texts_changed",
                    "a text has changed since you looked; nothing is approved",
                    where=f"campaign {campaign_id}",
                    fix="read the texts again, then approve",
                )
            store.update_state(session, campaign_id, approved_by=by, approved_at=now)
            acts.add(session, campaign_id, acts.Action.APPROVED, by=by, at=now)


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
