"""What each stage of a campaign does. Which one comes next is `service.campaigns`' question.

A stage takes a `Run` and returns a note of what it counted, or None when it has to wait. Each may run
twice.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

from pigeonry.config import Home
from pigeonry.domain.brief import Brief
from pigeonry.domain.clock import Clock, utc_now
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import NotFound, Refused
from pigeonry.store import acts, waiting
from pigeonry.store import campaigns as store
from pigeonry.store.session import Database


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
        mailable = leads.count_mailable(
            session, countries=run.brief.countries, topic=run.brief.topic, now=run.clock()
        )
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
            acts.add(
                session, run.campaign_id, acts.Action.APPROVED, by=run.approve_as, at=run.clock()
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


def _send(run: Run, *, beside: tuple[str, ...]) -> dict[str, Any] | None:
    """`beside` are reasons for which single people get their mail later: the campaign goes on meanwhile."""
    from pigeonry.service.sending import send_campaign

    if not run.send:
        return None
    report = send_campaign(
        run.db,
        run.home,
        run.campaign_id,
        now=run.clock,
        progress=run.progress,
        stop=run.stop,
    )
    with run.db.read() as session:
        put_off = waiting.put_off(session, run.campaign_id, reasons=beside, after=run.clock())
    if report.waiting > put_off:
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


def _finish(run: Run) -> dict[str, Any]:
    """What still waits is for people who asked for a pause: by its end this campaign is old news."""
    from pigeonry.store import messages

    reason = "the lead wanted a pause until after the campaign's end"
    with run.db.write() as session:
        cancelled = messages.cancel_planned(session, run.campaign_id, reason=reason)
    return {"cancelled": cancelled} if cancelled else {}


WORK: dict[str, Callable[[Run], dict[str, Any] | None]] = {
    "audience": _audience,
    "arms": _arms,
    "write": _write,
    "score": _score,
    "approve": _approve,
    "assign_test": _assign_test,
    "send_test": partial(_send, beside=(waiting.PAUSED, waiting.CAPPED)),
    "ripen": _ripen,
    "assign_rest": _assign_rest,
    "send_rest": partial(_send, beside=(waiting.PAUSED,)),
    "finish": _finish,
}

STAGES = tuple(WORK)  # in their order
