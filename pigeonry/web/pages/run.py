"""A campaign while it runs: where it stands, what it waits for, and the buttons that stop it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pigeonry.errors import NotFound, OutsideFailure, PigeonryError, Refused, WrongUse
from pigeonry.service import (
    jobs,
    sign_in,
    studio_run,
    studio_start,
    uncertain,
)
from pigeonry.service.stages import STAGES
from pigeonry.service.studio_run import Snapshot, Watch
from pigeonry.web.auth import EDIT, SEND, VIEW, Console, Nav, TheVisit, Visit
from pigeonry.web.limits import Turned
from pigeonry.web.pages import studio_words as say
from pigeonry.web.pages.jobs import says

router = Console(nav=Nav("/run", "run.nav"))

_STREAM_SECONDS = 300.0  # then the browser comes again, and is asked who it is
_BEAT_SECONDS = 15.0  # something at least so often, or a proxy hangs up
_MOST_STREAMS = 100
_open_streams = 0


@router.page("/run", may=VIEW)
def index(visit: TheVisit) -> Response:
    """Campaigns that are not over."""
    return visit.page("run_index", campaigns=studio_run.under_way(visit.db))


@router.page("/run/{campaign_id}", may=VIEW)
def show(visit: TheVisit, campaign_id: int) -> Response:
    return _page(visit, campaign_id)


@router.page("/run/{campaign_id}/stream", may=VIEW)
async def stream(visit: TheVisit, campaign_id: int) -> Response:
    """Snapshots as server-sent events, when something has changed."""
    await run_in_threadpool(_watch(visit).snapshot, campaign_id)  # raises NotFound in time
    if _open_streams >= _MOST_STREAMS:
        raise Turned(503, "so many are watching already; reload the page instead", reason="streams")
    return StreamingResponse(
        _events(visit, campaign_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.action("/run/{campaign_id}/pause", may=EDIT)
def pause(visit: TheVisit, campaign_id: int) -> Response:
    return _change(visit, campaign_id, "pause")


@router.action("/run/{campaign_id}/cancel", may=SEND)
def cancel(visit: TheVisit, campaign_id: int) -> Response:
    return _change(visit, campaign_id, "cancel")


@router.action("/run/{campaign_id}/resume", may=SEND)
def resume(visit: TheVisit, campaign_id: int) -> Response:
    """A paused campaign goes on, and where it was sending a run is started for it."""
    try:
        studio_run.change(visit.db, campaign_id, "resume")
        _watch(visit).stale(campaign_id)
        visit.audit("campaign.resumed", f"campaign:{campaign_id}")
        if not studio_start.before_sending(_watch(visit).snapshot(campaign_id).stage):
            return _go_on(visit, campaign_id)
    except Refused as error:
        return _page(visit, campaign_id, said=say.refused(visit, error), status=409)
    return visit.go(f"/run/{campaign_id}", "run.resumed")


@router.action("/run/{campaign_id}/go-on", may=SEND)
def go_on(visit: TheVisit, campaign_id: int) -> Response:
    """Start a run for a campaign that was sending already: no new decision, so no number is typed."""
    try:
        if studio_start.before_sending(_watch(visit).snapshot(campaign_id).stage):
            return visit.go(f"/studio/campaigns/{campaign_id}")
        return _go_on(visit, campaign_id)
    except Refused as error:
        return _page(visit, campaign_id, said=say.refused(visit, error), status=409)


@router.action("/run/{campaign_id}/parked/{message_id}", may=SEND)
def resolve(visit: TheVisit, campaign_id: int, message_id: int) -> Response:
    """A person's word on a message that nobody knows about."""
    answer = visit.form.text("answer", 10)
    if answer not in ("sent", "not-sent"):
        raise WrongUse("say whether it was sent", where="answer", fix="use one of the two buttons")
    if message_id not in {
        row.id for row in studio_run.uncertain(visit.db, campaign_id, limit=1000)
    }:
        raise NotFound("no such parked message", where=f"message {message_id}")
    again = uncertain.resolve(visit.db, message_id, answer == "sent", now=visit.now)
    visit.audit("message.resolved", f"message:{message_id}", sent=answer == "sent")
    _watch(visit).stale(campaign_id)
    if again:
        return _go_on(visit, campaign_id)
    said = "run.resolved.sent" if answer == "sent" else "run.resolved.not"
    return visit.go(f"/run/{campaign_id}#parked", said)


def _go_on(visit: Visit, campaign_id: int) -> Response:
    started = studio_start.send(
        visit.db, visit.home, campaign_id, by=visit.operator.name, now=visit.now
    )
    visit.audit(
        "campaign.started", f"campaign:{campaign_id}", how=started.how, run=started.run, send=True
    )
    return visit.go(f"/run/{campaign_id}", "run.resumed")


def _change(visit: Visit, campaign_id: int, word: str) -> Response:
    try:
        studio_run.change(visit.db, campaign_id, word)
    except Refused as error:
        return _page(visit, campaign_id, said=say.refused(visit, error), status=409)
    _watch(visit).stale(campaign_id)
    visit.audit(f"campaign.{word}", f"campaign:{campaign_id}")
    return visit.go(f"/run/{campaign_id}", f"run.{word}_done")


def _page(visit: Visit, campaign_id: int, *, said: str = "", status: int = 200) -> Response:
    snapshot = _watch(visit).snapshot(campaign_id)
    parked = studio_run.uncertain(visit.db, campaign_id) if snapshot.uncertain else []
    return visit.page("run", status=status, said_bad=said, parked=parked, **_live(visit, snapshot))


def _live(visit: Visit, snapshot: Snapshot) -> dict[str, Any]:
    newest = jobs.listed(visit.db, subject=f"campaign {snapshot.campaign}", limit=1)
    return {
        "snapshot": snapshot,
        "job": newest[0] if newest else None,
        "says": says(visit, newest[0]) if newest else "",
        "stages": STAGES,
        "length": lambda seconds: say.length(visit, seconds),
        "sends": not studio_start.before_sending(snapshot.stage),
    }


async def _events(visit: Visit, campaign_id: int) -> AsyncIterator[str]:
    global _open_streams
    _open_streams += 1
    began = beaten = time.monotonic()
    shown = ""
    try:
        while time.monotonic() - began < _STREAM_SECONDS:
            try:
                found = await run_in_threadpool(_event, visit, campaign_id)
            except OutsideFailure:
                found = None  # a database that is busy is asked again
            except PigeonryError:
                return
            if found is not None and found[0] != shown:
                shown, beaten = found[0], time.monotonic()
                yield _sent("snapshot", shown)
                if found[1]:
                    yield _sent("over", "")
                    return
            elif time.monotonic() - beaten > _BEAT_SECONDS:
                beaten = time.monotonic()
                yield ": still here\n\n"
            await asyncio.sleep(studio_run.LOOK_SECONDS)
    finally:
        _open_streams -= 1


def _event(visit: Visit, campaign_id: int) -> tuple[str, bool]:
    """The live part of the page, and whether nothing will change any more. Whoever was signed out
    meanwhile sees nothing more."""
    if sign_in.current(visit.db, visit.token, now=visit.now) is None:
        raise Refused("signed out", where="stream", fix="sign in again")
    snapshot = _watch(visit).snapshot(campaign_id)
    page = visit.part("run_live", **_live(visit, snapshot))
    return bytes(page.body).decode(), snapshot.over


def _sent(name: str, html: str) -> str:
    lines = "".join(f"data: {line}\n" for line in html.splitlines() or [""])
    return f"event: {name}\n{lines}\n"


def _watch(visit: Visit) -> Watch:
    """One for the whole app: all who watch share its looks."""
    state = visit.request.app.state
    if not hasattr(state, "watch"):
        state.watch = Watch(visit.db, visit.home, clock=visit.site.clock)
    found = state.watch
    assert isinstance(found, Watch)
    return found
