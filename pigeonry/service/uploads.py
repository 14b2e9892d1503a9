"""Files that somebody uploads: written to disk piece by piece under a random name, looked at, kept until they
are imported or too old. What an import does with one is `service.upload_jobs`.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from audience.encoding import Encoding, Look, look
from audience.source import open_bytes
from pigeonry.config import Home
from pigeonry.domain.job import Job
from pigeonry.errors import BadInput, NotFound, OutsideFailure, Refused
from pigeonry.service import audit
from pigeonry.store import imports, jobs, uploads
from pigeonry.store.session import Database
from pigeonry.store.uploads import Upload

DRY_RUN, IMPORT = "dry-run", "import"  # kinds of jobs
_UNFINISHED = timedelta(days=1)  # what is left of an upload that broke off
_SUFFIX = ".upload"


class TooLarge(BadInput):
    """The file is larger than `web.max_upload_mb`."""

    code = "too_large"


class Incoming:
    """A file that is coming in. Nothing is known of it before `receive`; leave the block early and nothing
    is left of it."""

    def __init__(self, home: Home) -> None:
        self.size = 0
        self._most = int(home.settings.web.max_upload_mb * 1_000_000)
        self.path = folder(home) / f"{secrets.token_hex(16)}.part"
        handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(handle, "wb")

    def __enter__(self) -> Incoming:
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def write(self, part: bytes) -> None:
        """Raises TooLarge, and OutsideFailure for a full disk."""
        self.size += len(part)
        if self.size > self._most:
            raise TooLarge(
                f"the file is larger than {self._most // 1_000_000:,} MB",
                fix="split it, or raise web.max_upload_mb",
            )
        with _disk():
            self._file.write(part)

    def complete(self) -> None:
        with _disk():
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()


def folder(home: Home) -> Path:
    found = home.path / "uploads"
    found.mkdir(mode=0o700, parents=True, exist_ok=True)
    return found


def file_of(home: Home, upload: Upload) -> Path:
    return folder(home) / f"{upload.stored}{_SUFFIX}"


def report_of(home: Home, upload: Upload) -> Path:
    """What a dry run found, with the people in it: beside the file, and gone with it."""
    return folder(home) / f"{upload.stored}.report"


def receive(
    db: Database, home: Home, incoming: Incoming, file_name: str, *, by: str, now: datetime
) -> Upload:
    """Keep a file that came in whole. Reads it once.

    Raises BadInput for what is no table: nothing (an empty file), a spreadsheet, an archive, a gzip (never
    unpacked here), binary data. Nothing is kept then.
    """
    incoming.complete()
    shown = harmless(file_name)
    with called(incoming.path, shown):
        _refuse_packed(incoming.path)
        with open_bytes(incoming.path) as stream:
            seen = look(stream, override=None, where=incoming.path.name)
    stored = incoming.path.stem
    target = folder(home) / f"{stored}{_SUFFIX}"
    incoming.path.rename(target)
    try:
        with db.write() as session:
            upload = uploads.add(
                session, stored=stored, file_name=shown, size=seen.size, digest=seen.digest,
                look={"encoding": seen.encoding.name, "confidence": seen.encoding.confidence,
                      "note": seen.encoding.note},
                by=by, at=now,
            )  # fmt: skip
            audit.note(
                session, home, actor=by, action="upload.received", subject=f"upload:{upload.id}",
                now=now, bytes=seen.size,
            )  # fmt: skip
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return upload


def seen(upload: Upload) -> Look:
    """What was recognised when the file came in."""
    kept = upload.look
    encoding = Encoding(str(kept["encoding"]), float(kept["confidence"]), str(kept["note"]))
    return Look(encoding, upload.size, upload.digest)


def show(db: Database, upload_id: int) -> Upload:
    """Raises NotFound."""
    with db.read() as session:
        found = uploads.get(session, upload_id)
    if found is None:
        raise NotFound("no such upload", where=f"upload {upload_id}")
    return found


def listed(db: Database, *, before_id: int | None = None, limit: int = 20) -> list[Upload]:
    """Newest first."""
    with db.read() as session:
        return uploads.newest(session, before_id=before_id, limit=limit)


def imported_before(db: Database, upload: Upload) -> datetime | None:
    """When exactly these bytes were last imported to the end, and not undone since."""
    with db.read() as session:
        return imports.last_done(session, upload.digest)


def job_of(db: Database, upload_id: int, kind: str) -> Job | None:
    """The newest job of that kind for an upload."""
    with db.read() as session:
        found = jobs.newest(session, (kind,), subject=f"upload:{upload_id}", limit=1)
    return found[0] if found else None


def discard(db: Database, home: Home, upload_id: int, *, by: str, now: datetime) -> None:
    """Delete the file, imported or not. Raises Refused while a job works on it."""
    upload = show(db, upload_id)
    for kind in (DRY_RUN, IMPORT):
        job = job_of(db, upload_id, kind)
        if job is not None and job.open:
            raise Refused(
                f"job {job.id} works on it", where=f"upload {upload_id}", fix="cancel it first"
            )
    _delete(db, home, upload, now)
    audit.record(
        db, home, actor=by, action="upload.discarded", subject=f"upload:{upload_id}", now=now
    )


def sweep(db: Database, home: Home, *, now: datetime, dry_run: bool = False) -> int:
    """Delete lists that are too old, what broken-off uploads left, and old logs of jobs; returns how many
    files go."""
    count = 0
    days = timedelta(days=home.settings.privacy.uploads_days)
    with db.read() as session:
        kept = uploads.with_file(session)
        busy = {job.subject for job in jobs.unfinished(session, (DRY_RUN, IMPORT))}
    for upload in kept:
        there = file_of(home, upload).exists()
        old = upload.created_at < now - days and f"upload:{upload.id}" not in busy
        if old or not there:
            count += there
            if not dry_run:
                _delete(db, home, upload, now)
    known = {upload.stored for upload in kept}
    stray = [path for path in folder(home).iterdir() if path.stem not in known]
    logs = list((home.path / "jobs").glob("*.log"))
    kept_logs = timedelta(days=home.settings.privacy.raw_days)
    for paths, age in ((stray, _UNFINISHED), (logs, kept_logs)):
        for path in paths:
            if _older(path, now - age):
                count += 1
                if not dry_run:
                    path.unlink(missing_ok=True)
    return count


def harmless(name: str) -> str:
    """A file's name as it may be shown and stored: no folders, no invisible letters, not endless."""
    last = re.split(r"[/\\]", name)[-1]
    clean = "".join(letter for letter in last if letter.isprintable()).strip()
    return clean[:120] or "list.csv"


@contextlib.contextmanager
def called(path: Path, name: str) -> Iterator[None]:
    """Errors name the file as the person knows it, not by its random name."""
    try:
        yield
    except BadInput as error:
        raise type(error)(
            error.what, where=error.where.replace(path.name, name), fix=error.fix
        ) from error


def _delete(db: Database, home: Home, upload: Upload, now: datetime) -> None:
    for path in (file_of(home, upload), report_of(home, upload)):
        path.unlink(missing_ok=True)
    with db.write() as session:
        uploads.gone(session, upload.id, now)


def _refuse_packed(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(2) == b"\x1f\x8b":
            raise BadInput(
                "this is a gzip file, not a CSV file", where=path.name,
                fix="unpack it and upload the CSV in it, or use `pigeonry leads import`",
            )  # fmt: skip


def _older(path: Path, before: datetime) -> bool:
    try:
        return path.stat().st_mtime < before.timestamp()
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutsideFailure(
            f"the file could not be stored: {error.strerror}", where="uploads",
            fix="make room on the disk and upload it again", transient=True,
        ) from error  # fmt: skip
