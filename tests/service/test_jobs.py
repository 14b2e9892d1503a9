"""Jobs: one process at a time, found dead and taken over, cancelled within seconds, nobody named in a row."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pigeonry.config import Home
from pigeonry.domain.job import Job, JobState
from pigeonry.errors import BadInput, NotFound, Refused, WrongUse
from pigeonry.service import job_work, jobs
from pigeonry.service.job_work import Work
from pigeonry.store import jobs as store
from pigeonry.store.models import Job as Row
from pigeonry.store.session import Database

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)


def counts(work: Work) -> Mapping[str, int]:
    for number in range(3):
        work.progress("counting", number, 3)
    return {"counted": 3}


def fails(work: Work) -> None:
    raise BadInput("no address in ana@example.com's row", where="ana@example.com", fix="look")


def breaks(work: Work) -> None:
    raise ZeroDivisionError


def endless(work: Work) -> None:
    number = 0
    while True:
        number += 1
        work.note(rounds=number)
        work.progress("going round", number)
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def kinds(monkeypatch: pytest.MonkeyPatch) -> None:
    for function in (counts, fails, breaks, endless):
        monkeypatch.setitem(
            jobs.KINDS,
            function.__name__,
            jobs.Kind(f"{__name__}:{function.__name__}", grace=1.0),
        )


def ask(db: Database, home: Home, kind: str, **more: Any) -> Job:
    return jobs.ask(
        db, home, kind, {"n": 1}, subject=more.pop("subject", f"{kind} 1"), by="operator 1", now=NOW,
        start=False, **more,
    )  # fmt: skip


def run(db: Database, home: Home, job: Job) -> Job:
    return job_work.run(db, home, job.id, now=lambda: NOW)


def test_a_job_is_asked_for_once_done_once_and_its_row_tells_how(
    any_database: Database, home: Home
) -> None:
    db = any_database
    job = ask(db, home, "counts")
    assert ask(db, home, "counts").id == job.id
    assert ask(db, home, "counts", subject="counts 2").id != job.id
    found = run(db, home, job)
    assert (found.state, found.result, found.done, found.total) == (
        JobState.DONE,
        {"counted": 3},
        2,
        3,
    )
    assert (found.attempts, found.share, found.asked_by) == (1, 1.0, "operator 1")
    assert run(db, home, job) == found  # nothing is done twice
    assert ask(db, home, "counts").id > job.id
    assert [row.id for row in jobs.listed(db, subject="counts 1")][-1] == job.id
    with pytest.raises(Refused):
        jobs.again(db, home, job.id, now=NOW, start=False)
    with pytest.raises(WrongUse):
        ask(db, home, "nothing")
    with db.write() as session:  # rows of other kinds share the table, and are no jobs of ours
        session.add(Row(id=77, kind="mailbox", state="done", payload={}, result={}, created_at=NOW))
    with pytest.raises(NotFound):
        jobs.show(db, 77)


def test_a_failure_is_said_without_naming_anybody(database: Database, home: Home) -> None:
    failed = run(database, home, ask(database, home, "fails"))
    assert failed.state is JobState.FAILED
    assert failed.result["error"]["code"] == "bad_input"
    assert "ana" not in str(failed.result)
    assert run(database, home, ask(database, home, "breaks")).result["error"]["code"] == "mistake"
    again = jobs.again(database, home, failed.id, now=NOW, start=False)
    assert (again.state, again.result, again.attempts) == (JobState.QUEUED, {}, 0)


def test_a_job_whose_process_is_gone_is_taken_over_and_one_that_keeps_dying_is_given_up(
    any_database: Database, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = any_database
    started: list[int] = []
    monkeypatch.setattr(jobs, "start", lambda home, job_id: started.append(job_id))
    job = ask(db, home, "counts")
    assert jobs.keep_up(db, home, now=NOW) == [job.id]
    assert jobs.keep_up(db, home, now=NOW) == []  # a process was just started
    with db.write() as session:
        assert store.claim(session, job, owner="b:n:1:2:x", until=NOW + jobs.LEASE, now=NOW)
        assert not store.claim(session, job, owner="c:n:1:2:x", until=NOW + jobs.LEASE, now=NOW)
    assert jobs.keep_up(db, home, now=NOW + timedelta(seconds=50)) == []
    assert run(db, home, job).state is JobState.RUNNING  # somebody is at it
    late = NOW + jobs.LEASE
    assert jobs.keep_up(db, home, now=late) == [job.id]
    taken = jobs.show(db, job.id)
    assert (taken.state, taken.attempts) == (JobState.QUEUED, 1)
    assert run(db, home, job).state is JobState.DONE

    job = ask(db, home, "counts")
    for _ in range(jobs.MOST_ATTEMPTS):
        with db.write() as session:
            found = store.get(session, job.id)
            assert found is not None
            assert store.claim(session, found, owner="b:n:1:2:x", until=NOW, now=NOW)
        jobs.keep_up(db, home, now=NOW)
    lost = jobs.show(db, job.id)
    assert (lost.state, lost.result["error"]["code"]) == (JobState.FAILED, jobs.LOST)


def test_no_more_processes_than_there_is_room_for(
    database: Database, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []
    monkeypatch.setattr(jobs, "start", lambda home, job_id: started.append(job_id))
    for number in range(jobs.AT_ONCE + 2):
        jobs.ask(database, home, "counts", {}, subject=f"s {number}", by="", now=NOW)
    assert len(started) == jobs.AT_ONCE


def test_a_cancel_acts_within_seconds_and_says_what_was_done(
    database: Database, home: Home
) -> None:
    waiting = ask(database, home, "counts")
    assert jobs.cancel(database, waiting.id, now=NOW).state is JobState.CANCELLED
    job = ask(database, home, "endless")

    def clock() -> datetime:
        return NOW

    with database.write() as session:  # asked for before the work begins: seen at the first look
        session.get_one(Row, job.id).cancel_asked_at = NOW
    began = time.monotonic()
    found = job_work.run(database, home, job.id, now=clock)
    assert time.monotonic() - began < 5
    assert found.state is JobState.CANCELLED
    assert found.result["rounds"] > 0
    assert jobs.cancel(database, job.id, now=NOW).state is JobState.CANCELLED


def test_a_process_of_its_own_is_killed_and_the_next_one_ends_the_job(
    database: Database, home: Home, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started as the web app does it; the first process is stopped dead in the middle."""
    source = tmp_path / "slow_job.py"
    source.write_text(
        "import pathlib, time\n"
        "from pigeonry.service import jobs\n"
        f"flag = pathlib.Path({str(tmp_path / 'flag')!r})\n"
        "def work(work):\n"
        "    first = not flag.exists()\n"
        "    flag.write_text('x')\n"
        "    while first:\n"
        "        work.progress('first', 1, 2)\n"
        "        time.sleep(0.05)\n"
        "    return {'pid_was_second': 1}\n"
    )
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Late:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'pigeonry.service.job_work':\n"
        "            sys.meta_path.remove(self)\n"
        "            from pigeonry.service import jobs\n"
        "            jobs.KINDS['slow'] = jobs.Kind('slow_job:work')\n"
        "sys.meta_path.insert(0, Late())\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setitem(jobs.KINDS, "slow", jobs.Kind("slow_job:work"))
    job = ask(database, home, "slow")
    first = jobs.start(home, job.id)
    assert os.getpgid(first) == first

    def until(ready: Any) -> Job:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found = jobs.show(database, job.id)
            if ready(found):
                return found
            time.sleep(0.05)
        raise AssertionError((found, jobs.log_file(home, job.id).read_text()))

    until(lambda found: found.says == "first")
    os.kill(first, signal.SIGKILL)
    until(lambda found: jobs.dead(found, datetime.now(UTC)))
    assert jobs.keep_up(database, home, now=datetime.now(UTC)) == [job.id]
    found = until(lambda found: not found.open)
    assert (found.state, found.attempts, found.result) == (JobState.DONE, 2, {"pid_was_second": 1})
    assert jobs.log_file(home, job.id).stat().st_mode & 0o777 == 0o600
    assert replace(found, says="").asked_by == "operator 1"
