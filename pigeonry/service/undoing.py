"""Takes an import back. Leads that it created go, unless something happened to them since; fields that it
changed get their old value, unless somebody changed them since. A suppression, a withdrawal and what a person
decided stay: an undo never lets anybody be mailed who is not mailed now.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from datetime import datetime

from pigeonry.config import Home
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import NotFound, Refused
from pigeonry.service import audit
from pigeonry.service.job_work import Work
from pigeonry.store import imports, undoing
from pigeonry.store.imports import Run
from pigeonry.store.session import Database
from pigeonry.store.undoing import Undone

_BATCH = 500  # leads in one transaction
# An import that is being undone may have been stopped in that: it is undone to the end.
POSSIBLE = (imports.DONE, imports.CANCELLED, imports.INTERRUPTED, imports.UNDOING)


def shown(db: Database, run_id: int) -> Run:
    """Raises NotFound."""
    with db.read() as session:
        run = imports.get(session, run_id)
    if run is None:
        raise NotFound(
            "no such import", where=f"import {run_id}", fix="see `pigeonry leads imports`"
        )
    return run


def listed(db: Database, *, before_id: int | None = None, limit: int = 20) -> list[Run]:
    """Newest first."""
    with db.read() as session:
        return imports.newest(session, before_id=before_id, limit=limit)


def undo_import(
    db: Database,
    home: Home,
    run_id: int,
    *,
    actor: str,
    now: datetime,
    progress: Progress = silent,
) -> Undone:
    """May be stopped at any moment and run again. Raises NotFound, and Refused for an import that is under
    way or was undone already."""
    run = shown(db, run_id)
    with db.write() as session:
        if not imports.set_state(session, run_id, imports.UNDOING, among=POSSIBLE):
            raise Refused(
                f"it is {run.state}",
                where=f"import {run_id}",
                fix="only a finished or stopped import is undone",
            )
        total = undoing.to_look_at(session, run_id)
    done = Undone()

    def looked(more: Undone) -> None:
        done.add(more)
        progress("undoing the import", done.looked_at, total)

    while True:
        with db.write() as session:
            more = undoing.restore_changed(session, run_id, run.started_at, limit=_BATCH, at=now)
        if not more.looked_at:
            break
        looked(more)
    last = 0
    while True:
        with db.write() as session:
            more, last = undoing.remove_created(
                session, run_id, run.started_at, after_id=last, limit=_BATCH, at=now
            )
        if not last:
            break
        looked(more)
    with db.write() as session:
        imports.set_state(session, run_id, imports.UNDONE, among=(imports.UNDOING,), at=now)
        audit.note(
            session, home, actor=actor, action="import.undone", subject=f"import:{run_id}", now=now,
            **dataclasses.asdict(done),
        )  # fmt: skip
    return done


def run_undo(work: Work) -> Mapping[str, int]:
    """The job `undo`: its payload names the import."""
    done = undo_import(
        work.db,
        work.home,
        int(work.job.payload["import"]),
        actor=work.job.asked_by,
        now=work.now(),
        progress=work.progress,
    )
    return dataclasses.asdict(done)
