"""A list comes in: chosen, looked at, tried, imported, and taken back when it was the wrong one."""

from __future__ import annotations

from datetime import datetime

from fastapi import Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import FileResponse

from pigeonry.errors import BadInput, NotFound, Refused, WrongUse
from pigeonry.service import undoing, upload_jobs, upload_preview, uploads
from pigeonry.service.consent_texts import list_texts
from pigeonry.service.upload_preview import ENCODINGS, EVIDENCE, FIELDS, Choices
from pigeonry.service.uploads import DRY_RUN, IMPORT, Incoming
from pigeonry.store.uploads import Upload
from pigeonry.web import upload_stream
from pigeonry.web.auth import EDIT, VIEW, Console, Nav, TheVisit, Visit
from pigeonry.web.limits import Turned
from pigeonry.web.pages import upload_words as say

router = Console(nav=Nav("/upload", "upload.nav"))

_PAGE = 20
_ROOM = 1_000_000  # bytes of a form beside the file


@router.page("/upload", may=VIEW)
def index(visit: TheVisit, before: int = 0) -> Response:
    return _index(visit, before=before)


@router.action("/upload", may=EDIT, stream=True)
async def receive(visit: TheVisit) -> Response:
    most = int(visit.home.settings.web.max_upload_mb * 1_000_000)
    declared = visit.request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:15]) > most + _ROOM:
        raise Turned(413, visit.t("upload.too_large", mb=most // 1_000_000), reason="too_large")
    with Incoming(visit.home) as incoming:
        try:
            name = await upload_stream.receive(visit.request, incoming.write)
            return await run_in_threadpool(_received, visit, incoming, name)
        except uploads.TooLarge as error:
            raise Turned(413, say.problem(visit, error), reason="too_large") from error
        except BadInput as error:
            said = {"file": say.problem(visit, error)}
            return await run_in_threadpool(_index, visit, errors=said, status=400)


def _received(visit: Visit, incoming: Incoming, name: str) -> Response:
    if not name:
        return _index(visit, errors={"file": visit.t("upload.choose_first")}, status=400)
    upload = uploads.receive(visit.db, visit.home, incoming, name, by=visit.actor, now=visit.now)
    return visit.go(f"/upload/{upload.id}")


@router.page("/upload/{upload_id}", may=VIEW)
def look(visit: TheVisit, upload_id: int, encoding: str = "", delimiter: str = "") -> Response:
    """The first rows and what each column is taken for."""
    upload = uploads.show(visit.db, upload_id)
    if upload.state == "imported":
        return visit.go(f"/imports/{upload.import_run_id}")
    if encoding or delimiter:
        return _look(visit, upload, Choices(encoding=encoding[:40], delimiter=delimiter[:20]))
    return _look(visit, upload, None)


@router.action("/upload/{upload_id}/columns", may=EDIT)
def columns(visit: TheVisit, upload_id: int) -> Response:
    """Keep the columns and try the whole list without storing anything."""
    upload = uploads.show(visit.db, upload_id)
    kept = upload_preview.choices_of(upload)
    form = visit.form
    choices = Choices(
        encoding=form.text("encoding", 40),
        delimiter=form.text("delimiter", 20),
        mapping=_mapping(visit),
        basis=kept.basis,
        source=kept.source,
        text_version=kept.text_version,
        evidence=kept.evidence,
    )
    try:
        upload_preview.choose(visit.db, visit.home, upload_id, choices, now=visit.now)
    except WrongUse as error:
        return _look(visit, upload, choices, said=say.problem(visit, error), status=400)
    job = upload_jobs.ask_dry_run(visit.db, visit.home, upload_id, by=visit.actor, now=visit.now)
    return visit.go(f"/jobs/{job.id}")


@router.page("/upload/{upload_id}/check", may=VIEW)
def check(visit: TheVisit, upload_id: int) -> Response:
    """What an import would change, and on which consent."""
    upload = uploads.show(visit.db, upload_id)
    if upload.state == "imported":
        return visit.go(f"/imports/{upload.import_run_id}")
    return _check(visit, upload, upload_preview.choices_of(upload))


@router.action("/upload/{upload_id}/import", may=EDIT)
def start(visit: TheVisit, upload_id: int) -> Response:
    upload = uploads.show(visit.db, upload_id)
    kept, form = upload_preview.choices_of(upload), visit.form
    choices = Choices(
        encoding=kept.encoding,
        delimiter=kept.delimiter,
        mapping=kept.mapping,
        basis=form.text("basis", 40),
        source=form.text("source", 200),
        text_version=form.text("text_version", 16),
        evidence={name: form.text(f"evidence-{name}", 200) for name in EVIDENCE},
    )
    errors = _claim_errors(visit, choices)
    try:
        if not errors:
            upload_preview.choose(visit.db, visit.home, upload_id, choices, now=visit.now)
    except WrongUse as error:
        errors = {"basis": say.problem(visit, error)}
    if errors:
        return _check(visit, upload, choices, errors=errors, status=400)
    job = upload_jobs.ask_import(visit.db, visit.home, upload_id, by=visit.actor, now=visit.now)
    return visit.go(f"/jobs/{job.id}")


@router.action("/upload/{upload_id}/discard", may=EDIT)
def discard(visit: TheVisit, upload_id: int) -> Response:
    uploads.discard(visit.db, visit.home, upload_id, by=visit.actor, now=visit.now)
    return visit.go("/upload", "upload.discarded")


@router.page("/imports/{run_id}", may=VIEW)
def result(visit: TheVisit, run_id: int) -> Response:
    run = undoing.shown(visit.db, run_id)
    undo = upload_jobs.undo_of(visit.db, run_id)
    counts = [(visit.t(f"jobs.counts.{name}"), run.counts[name])
              for name in upload_jobs.COUNTS if name in run.counts]  # fmt: skip
    return visit.page(
        "import",
        run=run,
        counts=counts,
        rejected=run.counts.get("rejected", 0),
        errors=_has_errors(visit, run_id),
        undo=undo,
        undoable=run.state in undoing.POSSIBLE and not (undo and undo.open),
    )


@router.page("/imports/{run_id}/errors.csv", may=VIEW)
def errors(visit: TheVisit, run_id: int) -> Response:
    path = upload_jobs.errors_file(visit.db, visit.home, run_id)
    return FileResponse(path, media_type="text/csv", filename=f"import-{run_id}-errors.csv")


@router.action("/imports/{run_id}/undo", may=EDIT)
def undo(visit: TheVisit, run_id: int) -> Response:
    run = undoing.shown(visit.db, run_id)
    if run.state not in undoing.POSSIBLE:
        raise Refused(visit.t("upload.cannot_undo"), where=f"import {run_id}")
    job = upload_jobs.ask_undo(visit.db, visit.home, run_id, by=visit.actor, now=visit.now)
    return visit.go(f"/jobs/{job.id}")


def _index(
    visit: Visit, *, before: int = 0, errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    runs = undoing.listed(visit.db, before_id=before or None, limit=_PAGE)
    waiting = [] if before else [u for u in uploads.listed(visit.db) if u.gone_at is None]
    return visit.page(
        "upload",
        status=status,
        errors=errors or {},
        runs=runs,
        waiting=waiting,
        older=f"/upload?before={runs[-1].id}" if len(runs) == _PAGE else "",
        most=int(visit.home.settings.web.max_upload_mb),
        days=visit.home.settings.privacy.uploads_days,
    )


def _look(
    visit: Visit, upload: Upload, choices: Choices | None, *, said: str = "", status: int = 200
) -> Response:
    shown = upload_preview.preview(visit.home, upload, choices)
    before: datetime | None = uploads.imported_before(visit.db, upload)
    problem = said or (say.problem(visit, shown.problem) if shown.problem else "")
    return visit.page(
        "upload_columns",
        status=status,
        upload=upload,
        shown=shown,
        problem=problem,
        before=before,
        chosen=choices or upload_preview.choices_of(upload),
        fields=[(field, visit.t(f"upload.fields.{field}")) for field in FIELDS],
        encodings=[("", visit.t("upload.detected")), *((name, name) for name in ENCODINGS)],
        delimiters=[
            ("", visit.t("upload.detected")),
            *((name, visit.t(f"upload.delimiters.{name}")) for name in say.DELIMITER_WORDS),
        ],
        delimiter_name=say.DELIMITER_OF.get(shown.delimiter, shown.delimiter),
        job=uploads.job_of(visit.db, upload.id, DRY_RUN),
    )


def _check(
    visit: Visit,
    upload: Upload,
    choices: Choices,
    *,
    errors: dict[str, str] | None = None,
    status: int = 200,
) -> Response:
    job = uploads.job_of(visit.db, upload.id, IMPORT)
    if job is not None and job.open:
        return visit.go(f"/jobs/{job.id}")
    tried = upload_jobs.dry_run_of(visit.home, upload)
    return visit.page(
        "upload_check",
        status=status,
        upload=upload,
        tried=tried,
        counts=[
            (visit.t(f"jobs.counts.{name}"), tried.counts[name])
            for name in ("created", "updated", "unchanged", "rejected", "suppressed")
        ]
        if tried
        else [],
        reasons=[say.row_error(visit, row) for row in tried.errors[:20]] if tried else [],
        by_row="consent" in (choices.mapping or {}).values(),
        chosen=choices,
        evidence=EVIDENCE,
        given=choices.evidence or {},
        texts=[("", visit.t("upload.no_text")), *say.texts(list_texts(visit.db))],
        errors=errors or {},
    )


def _mapping(visit: Visit) -> dict[int, str]:
    """Fields `column-1`, `column-2`, …; whatever is no field of ours is refused later."""
    found = {}
    for name, value in visit.form.fields().items():
        number = name.removeprefix("column-")
        if name.startswith("column-") and number.isdecimal() and len(number) < 5:
            found[int(number)] = value[:40]
    return found


def _claim_errors(visit: Visit, choices: Choices) -> dict[str, str]:
    """What is missing of a stated consent, by field."""
    if not choices.basis:
        return {}
    errors = {}
    if choices.basis not in ("express", "existing-customer"):
        errors["basis"] = visit.t("upload.basis_unknown")
    if not choices.source:
        errors["source"] = visit.t("upload.source_missing")
    if choices.basis == "existing-customer":
        given = choices.evidence or {}
        for name in EVIDENCE:
            if not given.get(name):
                errors[f"evidence-{name}"] = visit.t("upload.evidence_missing")
    return errors


def _has_errors(visit: Visit, run_id: int) -> bool:
    try:
        upload_jobs.errors_file(visit.db, visit.home, run_id)
    except NotFound:
        return False
    return True
