"""What runs inside a job's process: it claims the job, does it, says how far it is, and ends when asked."""

from __future__ import annotations

import importlib
import logging
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pigeonry.config import Home
from pigeonry.domain.clock import Clock
from pigeonry.domain.job import Job, JobState
from pigeonry.errors import OutsideFailure, PigeonryError
from pigeonry.service.jobs import KINDS, LEASE, dead, recover, show
from pigeonry.service.owners import new_owner
from pigeonry.store import jobs
from pigeonry.store.session import Database

_LOOK = 0.5  # seconds between two looks at whether to stop
_SAY = 1.0  # seconds between two reports of how far it is
_RENEW = LEASE.total_seconds() / 4
_ADDRESS = re.compile(r"[^\s@<>\"',;:()\[\]]+@[^\s@<>\"',;:()\[\]]+")

log = logging.getLogger("pigeonry.jobs")


class Ended(BaseException):
    """Raised inside a job's function when it has to stop; whatever is open is rolled back on the way. Not
    an Exception: nobody who forgives errors may swallow it."""


class Cancelled(Ended):
    """A person cancelled it."""


class Stopped(Ended):
    """This process was told to end: another one goes on."""


class Lost(Ended):
    """Somebody else has the job."""


@dataclass
class Work:
    """What a job's function gets. `progress` is a `domain.progress.Progress`: call it often, it is also
    where a cancel takes effect. `note` adds numbers to the result, also of a job that is cut short."""

    db: Database
    home: Home
    job: Job
    now: Clock
    result: dict[str, Any] = field(default_factory=dict)
    _said: tuple[str, int, int] = ("", 0, 0)
    _end: type[Ended] | None = None

    def progress(self, label: str, done: int, total: int | None = None) -> None:
        self._said = (label, done, total or 0)
        self.check()

    def check(self) -> None:
        """Raises when the job has to stop."""
        if self._end is not None:
            raise self._end

    def note(self, **numbers: Any) -> None:
        self.result.update(numbers)

    def stop(self, why: type[Ended]) -> None:
        self._end = self._end or why


def run(db: Database, home: Home, job_id: int, *, now: Clock, alone: bool = False) -> Job:
    """Do a job to its end in this process, unless somebody else is at it. Returns it as it is afterwards.

    `alone` says that the process is there for nothing else: SIGTERM then gives the job back, and a cancel
    that its function does not follow ends the process.
    """
    job = show(db, job_id)
    if job.state is JobState.RUNNING and dead(job, now()) and recover(db, job, now=now()):
        job = show(db, job_id)
    with new_owner() as owner:
        with db.write() as session:
            at = now()
            ours = job.state is JobState.QUEUED and jobs.claim(
                session, job, owner=owner, until=at + LEASE, now=at
            )
        if ours:
            _work(Work(db, home, show(db, job_id), now), owner, alone)
    return show(db, job_id)


def _work(work: Work, owner: str, alone: bool) -> None:
    kind = KINDS[work.job.kind]
    module, _, name = kind.target.partition(":")
    done = threading.Event()
    watch = threading.Thread(
        target=_watch, args=(work, owner, done, kind.grace if alone else 0.0), daemon=True
    )
    if alone:
        signal.signal(signal.SIGTERM, lambda *_: work.stop(Stopped))
    watch.start()
    state = JobState.DONE
    error: PigeonryError | None = None
    try:
        function: Callable[[Work], Mapping[str, Any] | None] = getattr(
            importlib.import_module(module), name
        )
        work.result.update(function(work) or {})
    except Cancelled:
        state = JobState.CANCELLED
    except Stopped:
        done.set()
        watch.join()
        with work.db.write() as session:
            jobs.put_back(session, work.job)
        return
    except Lost:
        return
    except PigeonryError as found:
        state, error = JobState.FAILED, found
        log.warning("job %s: %s", work.job.id, found.code)
    except (
        OSError
    ) as found:  # the disk, a pipe, a permission: the system's own words are the clearest
        state = JobState.FAILED
        error = OutsideFailure(found.strerror or "failed", fix="mend that and run the job again")
        log.warning("job %s: %s", work.job.id, error.what)
    except Exception:
        state = JobState.FAILED
        work.result["error"] = {
            "code": "mistake", "what": "this is our mistake", "where": f"job {work.job.id}", "fix": "",
        }  # fmt: skip
        log.exception("job %s failed", work.job.id)
    finally:
        done.set()
    watch.join()
    if error is not None:
        work.result["error"] = said(error)
    _, so_far, total = work._said
    with work.db.write() as session:
        until = work.now() + LEASE
        jobs.beat(session, work.job.id, owner=owner, until=until, says="", done=so_far, total=total)
        jobs.finish(
            session, work.job.id, owner=owner, state=state, result=work.result, at=work.now()
        )


def said(error: PigeonryError) -> dict[str, str]:
    """An error as a job's row keeps it: without addresses."""
    words = {"code": error.code, "what": error.what, "where": error.where, "fix": error.fix}
    return {name: _ADDRESS.sub("…@…", text)[:500] for name, text in words.items()}


def _watch(work: Work, owner: str, done: threading.Event, grace: float) -> None:
    """Beside the work: the lease, how far it is, and whether somebody wants it to stop."""
    shown: tuple[str, int, int] | None = None
    beaten = asked = 0.0
    while not done.wait(_LOOK):
        try:
            found = _look(work)
            if found is None or found.owner != owner or found.state is not JobState.RUNNING:
                work.stop(Lost)
                return
            if found.cancel_asked:
                work.stop(Cancelled)
                asked = asked or time.monotonic()
                if grace and time.monotonic() - asked > grace:
                    _end_by_force(work, owner)
            said, tick = work._said, time.monotonic()
            if (said != shown and tick - beaten >= _SAY) or tick - beaten >= _RENEW:
                with work.db.write() as session:
                    jobs.beat(
                        session, work.job.id, owner=owner, until=work.now() + LEASE,
                        says=said[0], done=said[1], total=said[2],
                    )  # fmt: skip
                shown, beaten = said, tick
        except PigeonryError as error:  # a database that is busy is asked again
            log.warning("job %s cannot say how far it is: %s", work.job.id, error.code)


def _look(work: Work) -> Job | None:
    with work.db.read() as session:
        return jobs.get(session, work.job.id)


def _end_by_force(work: Work, owner: str) -> None:
    with work.db.write() as session:
        jobs.finish(
            session, work.job.id, owner=owner, state=JobState.CANCELLED, result=work.result,
            at=work.now(),
        )  # fmt: skip
    log.warning("job %s did not stop when asked, and is ended by force", work.job.id)
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
