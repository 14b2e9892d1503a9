"""What takes longer than a request, while it is done: how far it is, and the button that stops it."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from pigeonry.domain.job import Job, JobState
from pigeonry.errors import OutsideFailure, PigeonryError
from pigeonry.service import jobs
from pigeonry.web import words
from pigeonry.web.auth import EDIT, SEND, VIEW, Console, TheVisit, Visit
from pigeonry.web.limits import Turned

router = Console()

_STREAM_SECONDS = 300.0  # then the browser comes again, and is asked who it is
_BEAT_SECONDS = 15.0  # something at least so often, or a proxy hangs up
_LOOK_SECONDS = 1.0
_MOST_STREAMS = 100
_PAGE = 50
_SENDS = frozenset({"campaign"})  # kinds after which mail may leave
_open_streams = 0


@router.page("/jobs", may=VIEW)
def index(visit: TheVisit, before: int = 0) -> Response:
    found = jobs.listed(visit.db, before_id=before or None, limit=_PAGE)
    older = f"/jobs?before={found[-1].id}" if len(found) == _PAGE else ""
    return visit.page("jobs", jobs=found, older=older, kind=_Kind(visit))


@router.page("/jobs/{job_id}", may=VIEW)
def show(visit: TheVisit, job_id: int) -> Response:
    return visit.page("job", **_live(visit, jobs.show(visit.db, job_id)))


@router.page("/jobs/{job_id}/stream", may=VIEW)
async def stream(visit: TheVisit, job_id: int) -> Response:
    """The same piece of the page as server-sent events, when something has changed."""
    await run_in_threadpool(jobs.show, visit.db, job_id)  # raises NotFound in time
    if _open_streams >= _MOST_STREAMS:
        raise Turned(503, "so many are watching already; reload the page instead", reason="streams")
    return StreamingResponse(
        _events(visit, job_id),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.action("/jobs/{job_id}/cancel", may=EDIT)
def cancel(visit: TheVisit, job_id: int) -> Response:
    jobs.cancel(visit.db, job_id, now=visit.now)
    visit.audit("job.cancelled", f"job:{job_id}")
    return visit.go(f"/jobs/{job_id}", "jobs.cancel_asked")


@router.action("/jobs/{job_id}/again", may=EDIT)
def again(visit: TheVisit, job_id: int) -> Response:
    if jobs.show(visit.db, job_id).kind in _SENDS and not visit.may(SEND):
        return visit.go(f"/jobs/{job_id}", "jobs.not_yours", bad=True)
    jobs.again(visit.db, visit.home, job_id, now=visit.now)
    visit.audit("job.again", f"job:{job_id}")
    return visit.go(f"/jobs/{job_id}")


def _live(visit: Visit, job: Job) -> dict[str, Any]:
    return {
        "job": job,
        "kind": _Kind(visit)(job.kind),
        "says": says(visit, job),
        "next": _next(job),
        "counts": [
            (visit.t(f"jobs.counts.{name}"), value)
            for name, value in job.result.items()
            if f"jobs.counts.{name}" in words.sentences() and isinstance(value, int)
        ],
        "sends": job.kind in _SENDS,
    }


class _Kind:
    """The word for a kind; kinds of others keep their own name until they have one."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit

    def __call__(self, kind: str) -> str:
        key = f"jobs.kinds.{kind}"
        return self._visit.t(key) if key in words.sentences() else kind


def says(visit: Visit, job: Job) -> str:
    if job.state is not JobState.RUNNING:
        return ""
    key = f"jobs.says.{re.sub('[^a-z]+', '_', job.says.lower())}"
    return visit.t(key) if key in words.sentences() else job.says


def _next(job: Job) -> tuple[str, str]:
    """(where it goes on, the key of the word for it), "" where nowhere."""
    what, _, number = job.subject.partition(":")
    if not number.isdecimal():
        rooms = {
            "segments": ("/segments", "jobs.next.segments"),
            "learn": ("/prompts", "jobs.next.prompts"),
        }
        return rooms.get(what, ("", ""))
    done = job.state is JobState.DONE
    if job.kind == "dry-run":
        return (
            (f"/upload/{number}/check", "jobs.next.check")
            if done
            else (f"/upload/{number}", "jobs.next.upload")
        )
    if job.kind == "import" and job.result.get("import"):
        return f"/imports/{job.result['import']}", "jobs.next.import"
    paths = {
        "upload": (f"/upload/{number}", "jobs.next.upload"),
        "import": (f"/imports/{number}", "jobs.next.import"),
        "campaign": (f"/run/{number}", "jobs.next.campaign"),
        "results": (f"/results/{number}", "jobs.next.results"),
    }
    return paths.get(what, ("", ""))


async def _events(visit: Visit, job_id: int) -> AsyncIterator[str]:
    global _open_streams
    _open_streams += 1
    began = beaten = time.monotonic()
    shown: Job | None = None
    try:
        while time.monotonic() - began < _STREAM_SECONDS:
            try:
                job = await run_in_threadpool(jobs.show, visit.db, job_id)
            except OutsideFailure:
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            except PigeonryError:
                return
            if job != shown and (shown is None or _told(job) != _told(shown)):
                text = await run_in_threadpool(_part, visit, job)
                yield (
                    "event: job\n" + "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"
                )
                beaten = time.monotonic()
            elif time.monotonic() - beaten > _BEAT_SECONDS:
                yield ": still here\n\n"
                beaten = time.monotonic()
            shown = job
            if not job.open:
                yield "event: over\ndata: over\n\n"
                return
            await asyncio.sleep(_LOOK_SECONDS)
    finally:
        _open_streams -= 1


def _told(job: Job) -> tuple[object, ...]:
    return job.state, job.says, job.done, job.total, job.cancel_asked


def _part(visit: Visit, job: Job) -> str:
    body = visit.part("job_live", **_live(visit, job)).body
    return bytes(body).decode()
