"""Work that takes longer than a request: asked for, started in a process of its own, watched, cancelled.

A job is a row; whoever has the row can start its process, on any host. A process that was killed is found
dead by its owner's name or by its lease, and another one takes the job: what a job does may run twice.
What runs inside such a process is `service.job_work`.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from pigeonry.config import Home
from pigeonry.domain.job import Job, JobState
from pigeonry.errors import NotFound, Refused, WrongUse
from pigeonry.service.owners import is_dead
from pigeonry.store import jobs
from pigeonry.store.session import Database

LEASE = timedelta(seconds=60)  # beats come every few seconds
START_LEASE = timedelta(seconds=30)  # a process that was started has claimed by then
AT_ONCE = 4  # processes of one database; the rest waits its turn
MOST_ATTEMPTS = 5  # a job that keeps killing its process is given up
LOST = "lost"  # code of the error of such a job


@dataclass(frozen=True, slots=True)
class Kind:
    """`target` is `module:function`; the function gets a `job_work.Work` and returns numbers. A process
    that has not ended `grace` seconds after a cancel ends itself by force; 0: never."""

    target: str
    grace: float = 15.0


# kind -> what does it. Whoever brings a new kind enters it here.
KINDS: dict[str, Kind] = {
    "segments": Kind("pigeonry.service.upkeep_jobs:refresh_segments"),
    "learn": Kind("pigeonry.service.upkeep_jobs:learn"),
    "results": Kind("pigeonry.service.upkeep_jobs:keep_results"),
    "dry-run": Kind("pigeonry.service.upload_jobs:run_dry"),
    "import": Kind("pigeonry.service.upload_jobs:run_import"),
    "undo": Kind("pigeonry.service.undoing:run_undo"),
    # A sender ends at its own points.
    "campaign": Kind("pigeonry.service.campaign_job:run", grace=0),
}


def ask(
    db: Database,
    home: Home,
    kind: str,
    payload: Mapping[str, int | str],
    *,
    subject: str,
    by: str,
    now: datetime,
    start: bool = True,
) -> Job:
    """Ask for a job and start its process when there is room. Of one kind and subject only one is open: a
    second click gets the same job. `payload` holds ids, never people."""
    _known(kind)
    with db.write() as session:
        job = jobs.add(session, kind=kind, subject=subject, payload=payload, by=by, at=now)
    if start and job.state is JobState.QUEUED:
        keep_up(db, home, now=now)
    return job


def show(db: Database, job_id: int) -> Job:
    """Raises NotFound."""
    with db.read() as session:
        job = jobs.get(session, job_id)
    if job is None or job.kind not in KINDS:
        raise NotFound("no such job", where=f"job {job_id}", fix="see `pigeonry jobs list`")
    return job


def listed(
    db: Database,
    *,
    subject: str = "",
    only_open: bool = False,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Job]:
    """Newest first."""
    with db.read() as session:
        return jobs.newest(
            session, KINDS, subject=subject, only_open=only_open, before_id=before_id, limit=limit
        )


def cancel(db: Database, job_id: int, *, now: datetime) -> Job:
    """Ask it to stop. What it committed stays. A job that has ended is left as it is."""
    show(db, job_id)
    with db.write() as session:
        jobs.ask_to_cancel(session, job_id, at=now)
    return show(db, job_id)


def again(db: Database, home: Home, job_id: int, *, now: datetime, start: bool = True) -> Job:
    """Queue a failed or cancelled job once more. Raises Refused for any other."""
    job = show(db, job_id)
    with db.write() as session:
        if not jobs.again(session, job):
            raise Refused(
                f"it is {job.state.value}: only a failed or cancelled job is run again",
                where=f"job {job_id}",
                fix="wait for it, or cancel it first",
            )
    if start:
        keep_up(db, home, now=now)
    return show(db, job_id)


def keep_up(db: Database, home: Home, *, now: datetime) -> list[int]:
    """Start a process for every job that waits and for every one whose process died; returns their ids.
    Call it every few seconds from whatever stands (the web app does); any number may call it at once."""
    with db.read() as session:
        found = jobs.unfinished(session, KINDS)
    started: list[int] = []
    alive = sum(job.state is JobState.RUNNING and not dead(job, now) for job in found)
    alive += sum(job.state is JobState.QUEUED and _starting(job, now) for job in found)
    for job in found:
        if job.state is JobState.RUNNING and dead(job, now):
            if not recover(db, job, now=now):
                continue
        elif job.state is not JobState.QUEUED or _starting(job, now):
            continue
        if alive >= AT_ONCE:
            break
        with db.write() as session:
            ours = jobs.reserve(session, job, until=now + START_LEASE, now=now)
        if ours:
            start(home, job.id)
            started.append(job.id)
            alive += 1
    return started


def recover(db: Database, job: Job, *, now: datetime) -> bool:
    """A job whose process died is queued again; one that kept dying, or that was to be cancelled anyway,
    ends. True when it waits for a process now."""
    with db.write() as session:
        if job.cancel_asked or job.attempts >= MOST_ATTEMPTS:
            state = JobState.CANCELLED if job.cancel_asked else JobState.FAILED
            error = {
                "code": LOST,
                "what": f"its process died {job.attempts} times",
                "where": "",
                "fix": "",
            }
            result = {**job.result} if job.cancel_asked else {**job.result, "error": error}
            jobs.finish(session, job.id, owner=job.owner, state=state, result=result, at=now)
            return False
        return jobs.put_back(session, job)


def dead(job: Job, now: datetime) -> bool:
    """Whether a running job's process is gone for certain, or has not been heard of for too long."""
    return is_dead(job.owner) or (job.lease_until is not None and job.lease_until <= now)


def log_file(home: Home, job_id: int) -> Path:
    """What its processes wrote: only of interest when something went wrong."""
    return home.path / "jobs" / f"{job_id}.log"


def start(home: Home, job_id: int) -> int:
    """A process of its own, in a session of its own: it outlives whoever starts it. Returns its pid."""
    path = log_file(home, job_id)
    path.parent.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(handle, "wb") as log:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "pigeonry",
                "--home",
                str(home.path),
                "jobs",
                "run",
                str(job_id),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _children.append(process)
    for child in [child for child in _children if child.poll() is not None]:
        with contextlib.suppress(ValueError):
            _children.remove(child)
    return process.pid


# Processes that this one started and has to wait for, or they stay as zombies until it ends.
_children: list[subprocess.Popen[bytes]] = []


def _starting(job: Job, now: datetime) -> bool:
    return job.lease_until is not None and job.lease_until > now


def _known(kind: str) -> None:
    if kind not in KINDS:
        raise WrongUse(f"{kind!r} is no kind of job", fix=f"one of {', '.join(KINDS)}")
