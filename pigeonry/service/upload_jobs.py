"""Jobs on an uploaded file: a dry run over all of it, and its import. Both may be cut short and run again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pigeonry.config import Home
from pigeonry.domain.job import Job
from pigeonry.errors import NotFound, Refused
from pigeonry.service import audit, jobs
from pigeonry.service.job_work import Cancelled, Ended, Work
from pigeonry.service.leads import ImportReport, import_leads
from pigeonry.service.upload_preview import Choices, choices_of
from pigeonry.service.uploads import DRY_RUN, IMPORT, called, file_of, report_of, show
from pigeonry.store import imports, uploads
from pigeonry.store import jobs as job_rows
from pigeonry.store.session import Database
from pigeonry.store.uploads import Upload

COUNTS = ("rows", "created", "updated", "unchanged", "rejected", "suppressed", "consented")
_ERRORS = 200  # that a report of a dry run shows


@dataclass(frozen=True, slots=True)
class DryRun:
    """What an import would do. `stale`: the choices have changed since."""

    counts: Mapping[str, int]
    differences: list[dict[str, str]]
    errors: list[dict[str, Any]]
    error_count: int
    notes: list[str]
    stale: bool


def ask_dry_run(db: Database, home: Home, upload_id: int, *, by: str, now: datetime) -> Job:
    show(db, upload_id)
    return jobs.ask(
        db, home, DRY_RUN, {"upload": upload_id}, subject=f"upload:{upload_id}", by=by, now=now
    )


def ask_import(db: Database, home: Home, upload_id: int, *, by: str, now: datetime) -> Job:
    """Raises Refused for a file that was imported or is gone, or whose columns nobody has looked at."""
    upload = show(db, upload_id)
    where = f"upload {upload_id}"
    if upload.state == uploads.IMPORTED or upload.gone_at is not None:
        raise Refused("it was imported already, or is gone", where=where, fix="upload it again")
    if not upload.choices:
        raise Refused("nobody has looked at its columns", where=where, fix="confirm them first")
    audit.record(
        db, home, actor=by, action="import.asked", subject=f"upload:{upload_id}", now=now,
        basis=str(upload.choices.get("basis", "")),
    )  # fmt: skip
    return jobs.ask(
        db, home, IMPORT, {"upload": upload_id}, subject=f"upload:{upload_id}", by=by, now=now
    )


def ask_undo(db: Database, home: Home, run_id: int, *, by: str, now: datetime) -> Job:
    return jobs.ask(
        db, home, "undo", {"import": run_id}, subject=f"import:{run_id}", by=by, now=now
    )


def undo_of(db: Database, run_id: int) -> Job | None:
    """The newest job that undoes an import."""
    with db.read() as session:
        found = job_rows.newest(session, ("undo",), subject=f"import:{run_id}", limit=1)
    return found[0] if found else None


def dry_run_of(home: Home, upload: Upload) -> DryRun | None:
    """The last dry run's report; None when there is none, or when an erasure deleted it."""
    try:
        kept = json.loads(report_of(home, upload).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return DryRun(
        kept["counts"],
        kept["differences"],
        kept["errors"],
        kept["error_count"],
        kept["notes"],
        kept["choices"] != json.loads(json.dumps(dict(upload.choices))),
    )


def errors_file(db: Database, home: Home, run_id: int) -> Path:
    """Raises NotFound where there were no errors, or where they were kept long enough."""
    with db.read() as session:
        run = imports.get(session, run_id)
    path = home.reports / f"import-{run_id}-errors.csv"
    if run is None or not path.is_file():
        raise NotFound("there is no list of errors", where=f"import {run_id}")
    return path


def run_dry(work: Work) -> Mapping[str, int]:
    """The job `dry-run`."""
    upload = show(work.db, int(work.job.payload["upload"]))
    report = _import(work, upload, choices_of(upload), dry_run=True)
    kept = {
        "counts": _counts(report),
        "differences": [
            {"email": one.email, "field": one.field, "before": one.before, "after": one.after}
            for one in report.differences
        ],
        "errors": [
            {"line": one.line, "row": one.row, "column": one.column, "value": one.value,
             "code": one.code, "reason": one.reason}
            for one in report.errors[:_ERRORS]
        ],
        "error_count": report.error_count,
        "notes": list(report.notes),
        "choices": dict(upload.choices),
    }  # fmt: skip
    path = report_of(work.home, upload)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        json.dump(kept, file, ensure_ascii=False)
    return _counts(report)


def run_import(work: Work) -> Mapping[str, int]:
    """The job `import`. What is stored stays when it is cancelled; run again, it goes on under its number."""
    db, home = work.db, work.home
    upload = show(db, int(work.job.payload["upload"]))
    try:
        report = _import(work, upload, choices_of(upload), dry_run=False)
    except Ended as end:
        _say_stored(work, upload.id, cancelled=isinstance(end, Cancelled))
        raise
    now = work.now()
    with db.write() as session:
        uploads.ended(session, upload.id)
        uploads.gone(session, upload.id, now)
        audit.note(
            session, home, actor=work.job.asked_by, action="import.done",
            subject=f"import:{report.run_id}", now=now, **_counts(report),
        )  # fmt: skip
    file_of(home, upload).unlink(missing_ok=True)
    report_of(home, upload).unlink(missing_ok=True)
    return {**_counts(report), "import": report.run_id or 0, "errors": report.error_count}


def _import(work: Work, upload: Upload, choices: Choices, *, dry_run: bool) -> ImportReport:
    path = file_of(work.home, upload)
    if upload.gone_at is not None or not path.exists():
        raise NotFound(
            "the file is no longer kept", where=f"upload {upload.id}", fix="upload it again"
        )
    with called(path, upload.file_name):
        return import_leads(
            work.db,
            work.home,
            path,
            mapping=choices.columns,
            consent=choices.claim(),
            dry_run=dry_run,
            encoding=choices.encoding or None,
            delimiter=choices.delimiter or None,
            now=work.now(),
            progress=work.progress,
            name=upload.file_name,
            resume=upload.import_run_id,
            begun=lambda session, run_id: uploads.began(session, upload.id, run_id),
        )


def _say_stored(work: Work, upload_id: int, *, cancelled: bool) -> None:
    """What was stored before the end came is part of the job's result."""
    with work.db.write() as session:
        upload = uploads.get(session, upload_id)
        run = imports.get(session, upload.import_run_id or 0) if upload else None
        if run is None:
            return
        if cancelled:
            imports.set_state(session, run.id, imports.CANCELLED, among=(imports.INTERRUPTED,))
            audit.note(
                session, work.home, actor=work.job.asked_by, action="import.cancelled",
                subject=f"import:{run.id}", now=work.now(),
                **{name: run.counts.get(name, 0) for name in COUNTS},
            )  # fmt: skip
    work.note(**{name: run.counts.get(name, 0) for name in COUNTS}, **{"import": run.id})


def _counts(report: ImportReport) -> dict[str, int]:
    return {name: int(getattr(report, name)) for name in COUNTS}
