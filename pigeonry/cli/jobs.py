"""`pigeonry jobs`: what takes longer than a request. The web app starts them; this is their door for people."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from pigeonry.cli.common import Output, command_body

if TYPE_CHECKING:
    from pigeonry.domain.job import Job

_NICE = 5  # a job gives way to the pages


@click.group()
def jobs() -> None:
    """See, run and cancel what takes longer than a request."""


@jobs.command("list")
@click.option("--open", "only_open", is_flag=True, help="Only what waits or runs.")
@click.option("--limit", default=20, show_default=True, help="How many, newest first.")
@command_body
def list_(output: Output, only_open: bool, limit: int) -> None:
    """List jobs, newest first."""
    from pigeonry.service.jobs import listed

    _, database = output.open()
    found = listed(database, only_open=only_open, limit=limit)
    for job in found:
        output.say(f"{job.id:>6}  {job.state:<9}  {job.kind:<14} {job.subject:<14} {_far(job)}")
    if not found:
        output.say("no jobs")
    output.result({"jobs": [_plain(job) for job in found]})


@jobs.command()
@click.argument("job_id", type=int, metavar="ID")
@command_body
def show(output: Output, job_id: int) -> None:
    """Show a job: how far it is, what came of it."""
    from pigeonry.service import jobs as service

    _, database = output.open()
    _say(output, service.show(database, job_id))


@jobs.command()
@click.argument("job_id", type=int, metavar="[ID]", required=False)
@command_body
def run(output: Output, job_id: int | None) -> int:
    """Do a job in this process; without ID every one that waits, one after the other.

    A job that another process works on is left alone; one whose process died is taken over. SIGTERM gives
    the job back. Exit code 1 when a job failed.
    """
    from pigeonry.domain.clock import utc_now
    from pigeonry.domain.job import JobState
    from pigeonry.service import job_work
    from pigeonry.service import jobs as service

    home, database = output.open()
    os.nice(_NICE)
    if job_id is not None:
        ids = [job_id]
    else:
        ids = sorted(job.id for job in service.listed(database, only_open=True, limit=1000))
    failed = False
    for number in ids:
        job = job_work.run(database, home, number, now=utc_now, alone=True)
        _say(output, job)
        failed = failed or job.state is JobState.FAILED
    if not ids:
        output.say("no job waits")
        output.result({"job": None})
    return 1 if failed else 0


@jobs.command()
@click.argument("job_id", type=int, metavar="ID")
@command_body
def cancel(output: Output, job_id: int) -> None:
    """Ask a job to stop. What it has stored stays."""
    from pigeonry.service import jobs as service

    _, database = output.open()
    job = service.cancel(database, job_id, now=datetime.now(UTC))
    if job.open:
        output.say("asked to stop; it does so within seconds")
    _say(output, job)


@jobs.command()
@click.argument("job_id", type=int, metavar="ID")
@command_body
def again(output: Output, job_id: int) -> None:
    """Run a failed or cancelled job once more, in a process of its own."""
    from pigeonry.service import jobs as service

    home, database = output.open()
    _say(output, service.again(database, home, job_id, now=datetime.now(UTC)))


def _say(output: Output, job: Job) -> None:
    output.say(
        f"job {job.id}: {job.kind} of {job.subject or '-'}, {job.state} {_far(job)}".rstrip()
    )
    for name, value in job.result.items():
        if name != "error":
            output.say(f"  {name:<12} {value}")
    if error := job.result.get("error"):
        where = f"{error['where']}: " if error["where"] else ""
        output.say(f"  {where}{error['what']}")
        if error["fix"]:
            output.say(f"  -> {error['fix']}")
    output.result({"job": _plain(job)})


def _far(job: Job) -> str:
    if not job.total:
        return job.says
    return f"{job.says} {job.done:,} of {job.total:,}".strip()


def _plain(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "subject": job.subject,
        "state": job.state,
        "says": job.says,
        "done": job.done,
        "total": job.total,
        "asked_by": job.asked_by,
        "attempts": job.attempts,
        "result": job.result,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
    }
