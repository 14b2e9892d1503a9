"""An uploaded list: kept safely, understood, tried, imported with true progress, cancelled, taken back."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from pigeonry.config import Home
from pigeonry.domain import ConsentState, SuppressionReason
from pigeonry.domain.job import Job, JobState
from pigeonry.errors import BadInput, NotFound, Refused, WrongUse
from pigeonry.service import job_work, jobs, undoing, upload_jobs, uploads
from pigeonry.service.job_work import Work
from pigeonry.service.people import erase_person
from pigeonry.service.upload_preview import Choices, choose, preview
from pigeonry.service.uploads import Incoming
from pigeonry.store import consents, imports, leads
from pigeonry.store import jobs as job_rows
from pigeonry.store.models import (
    Assignment,
    Audit,
    Consent,
    ImportRun,
    Lead,
    Message,
    Segment,
    Suppression,
)
from pigeonry.store.session import Database
from pigeonry.store.uploads import Upload
from tests.delivery.world import World
from tests.service.test_leads import small

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
LIST = (
    "Adresa ta de e-mail;Prenume;Oraş;Mobil;Ceva;Do Not Email\n"
    "ana@example.com;Ana;Iaşi;0722 000 001;=1+1;No\n"
    "ion@example.com;Ion;Cluj;0722 000 002;x;Yes\n"
    "rupt@;Ion;Cluj;;x;No\n"
    "eva@example.com;Eva;Arad;0722 000 003;y;No\n"
).encode("cp1250")
EXPRESS = Choices(mapping={1: "email"}, basis="express", source="formular")


@pytest.fixture(autouse=True)
def _by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are run in the test's own process."""
    monkeypatch.setattr(jobs, "start", lambda home, job_id: 0)


def receive(db: Database, home: Home, data: bytes, name: str = "listă.csv") -> Upload:
    with Incoming(home) as incoming:
        for start in range(0, len(data), 7):
            incoming.write(data[start : start + 7])
        return uploads.receive(db, home, incoming, name, by="operator:1", now=NOW)


def work(db: Database, home: Home, job: Job, at: datetime = NOW) -> Job:
    return job_work.run(db, home, job.id, now=lambda: at)


def bring(
    db: Database, home: Home, data: bytes | str, *, choices: Choices = EXPRESS, at: datetime = NOW
) -> tuple[Upload, Job]:
    """Upload, choose and import."""
    upload = receive(db, home, data if isinstance(data, bytes) else data.encode())
    choose(db, home, upload.id, choices, now=NOW)
    job = work(db, home, upload_jobs.ask_import(db, home, upload.id, by="operator:1", now=at), at)
    return uploads.show(db, upload.id), job


def emails(db: Database) -> list[str]:
    with db.read() as session:
        return sorted(lead.email for lead in leads.iterate(session))


def files(home: Home) -> list[str]:
    return sorted(path.name for path in uploads.folder(home).iterdir())


def actions(db: Database) -> list[str]:
    with db.read() as session:
        return [row.action for row in session.scalars(select(Audit).order_by(Audit.id))]


def test_from_file_to_leads_and_back(any_database: Database, home: Home) -> None:
    db = any_database
    upload = receive(db, home, LIST, "..\\..\\C:\\temp/../listă\x00\u202e de mai.csv")
    assert upload.file_name == "listă de mai.csv"
    path = uploads.file_of(home, upload)
    assert path.stat().st_mode & 0o777 == 0o600
    assert "list" not in path.name
    assert uploads.imported_before(db, upload) is None

    seen = preview(home, upload)
    assert (seen.encoding, seen.delimiter) == ("windows-1250", ";")
    assert seen.problem is not None  # no column is called e-mail: a person has to say so
    assert [(c.field, c.suggestion.why) for c in seen.columns] == [
        ("email", "cells"), ("first_name", "name"), ("city", "name"), ("phone", "name"),
        ("attribute", "none"), ("do_not_mail", "name"),
    ]  # fmt: skip
    assert seen.rows[0][2] == "Iaşi"
    assert 0.5 < seen.columns[0].suggestion.confidence < 1.0
    with pytest.raises(Refused):
        upload_jobs.ask_import(db, home, upload.id, by="operator:1", now=NOW)
    with pytest.raises(WrongUse):
        choose(db, home, upload.id, Choices(mapping={1: "nothing"}), now=NOW)
    with pytest.raises(WrongUse):
        choose(db, home, upload.id, replace(EXPRESS, basis="legitimate interest"), now=NOW)
    with pytest.raises(WrongUse):
        some = replace(EXPRESS, basis="existing-customer", evidence={"bought": "curs"})
        choose(db, home, upload.id, some, now=NOW)
    upload = choose(db, home, upload.id, EXPRESS, now=NOW)
    assert preview(home, upload).problem is None

    job = work(db, home, upload_jobs.ask_dry_run(db, home, upload.id, by="operator:1", now=NOW))
    counts = {"rows": 4, "created": 3, "updated": 0, "unchanged": 0, "rejected": 1,
              "suppressed": 1, "consented": 2}  # fmt: skip
    assert (job.state, job.result) == (JobState.DONE, counts)
    assert emails(db) == []
    tried = upload_jobs.dry_run_of(home, upload)
    assert tried is not None
    assert (tried.counts, tried.stale) == (counts, False)
    assert [error["line"] for error in tried.errors] == [4]
    choose(db, home, upload.id, replace(EXPRESS, source="târg"), now=NOW)
    again = upload_jobs.dry_run_of(home, uploads.show(db, upload.id))
    assert again is not None
    assert again.stale

    job = upload_jobs.ask_import(db, home, upload.id, by="operator:1", now=NOW)
    job = work(db, home, job)
    assert job.result == {**counts, "import": 1, "errors": 1}
    assert (job.done, job.total) == (4, 4)
    assert "@" not in str((job.payload, job.result, job.says, job.subject))
    assert emails(db) == ["ana@example.com", "eva@example.com", "ion@example.com"]
    assert files(home) == []  # the list is not kept any longer than it is needed
    table = upload_jobs.errors_file(db, home, 1).read_text(encoding="utf-8-sig")
    assert "rupt@" in table
    with pytest.raises(Refused):
        upload_jobs.ask_import(db, home, upload.id, by="operator:1", now=NOW)
    twin = receive(db, home, LIST)
    assert uploads.imported_before(db, twin) == NOW
    uploads.discard(db, home, twin.id, by="operator:1", now=NOW)

    job = work(db, home, upload_jobs.ask_undo(db, home, 1, by="operator:2", now=NOW))
    assert job.state is JobState.DONE
    assert (job.result["removed"], job.result["kept"], job.result["stops_kept"]) == (3, 0, 1)
    assert emails(db) == []
    with db.read() as session:
        assert [row.reason for row in session.scalars(select(Suppression))] == ["do-not-mail"]
        run = imports.get(session, 1)
        assert run is not None
        assert (run.state, run.undone_at) == ("undone", NOW)
    assert uploads.imported_before(db, twin) is None
    with pytest.raises(Refused):
        undoing.undo_import(db, home, 1, actor="x", now=NOW)
    assert actions(db) == [
        "upload.received", "import.asked", "import.done", "upload.received", "upload.discarded",
        "import.undone",
    ]  # fmt: skip


def xlsx() -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return whole.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf\n", "empty"),
        (xlsx(), "spreadsheet"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 600, "old Excel"),
        (gzip.compress(b"\0" * 50_000_000, 1), "gzip"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"<!DOCTYPE html><p>", "HTML"),
        (b"email\0,x\n\0\0\0\0", "binary"),
    ],
)
def test_what_is_no_list_is_refused_in_a_sentence_and_nothing_is_kept(
    database: Database, home: Home, data: bytes, said: str
) -> None:
    with pytest.raises(BadInput, match=said) as error:
        receive(database, home, data, "date.xlsx")
    assert ".part" not in str(error.value)
    assert files(home) == []
    assert uploads.listed(database) == []


def test_too_large_cut_off_and_forgotten_files_leave_nothing(
    database: Database, home: Home
) -> None:
    web = home.settings.web.model_copy(update={"max_upload_mb": 0.001})
    tight = replace(home, settings=home.settings.model_copy(update={"web": web}))
    with pytest.raises(uploads.TooLarge):
        receive(database, tight, b"x" * 1001)
    with pytest.raises(ConnectionError), Incoming(home) as incoming:
        incoming.write(b"email\nana@")
        raise ConnectionError
    assert files(home) == []

    upload = receive(database, home, b"email\nana@example.com\n")
    stray = uploads.folder(home) / "0123.part"
    stray.write_bytes(b"x")
    os.utime(stray, (NOW.timestamp() - 90_000,) * 2)
    assert uploads.sweep(database, home, now=NOW) == 1
    assert uploads.sweep(database, home, now=NOW + timedelta(days=8)) == 1
    assert files(home) == []
    with pytest.raises(NotFound):
        preview(home, uploads.show(database, upload.id))


def test_a_list_that_shows_an_erased_person_is_gone_with_them(
    database: Database, home: Home
) -> None:
    bring(database, home, "email,first name\nana@example.com,Canarina\n")
    upload = receive(database, home, b"email,first name\nana@example.com,Canarina\n")
    other = receive(database, home, b"email\nion@example.com\n")
    erase_person(database, home, "ana@example.com", now=NOW)
    assert files(home) == [uploads.file_of(home, other).name]
    job = upload_jobs.ask_dry_run(database, home, upload.id, by="operator:1", now=NOW)
    assert work(database, home, job).result["error"]["code"] == "not_found"


def many(number: int, city: str = "Cluj") -> str:
    return "email,city\n" + "".join(f"l{n:04}@example.com,{city}\n" for n in range(number))


def test_a_cancelled_import_says_what_it_stored_and_goes_on_under_its_number(
    any_database: Database, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, home = any_database, small(home, 100)
    upload = receive(db, home, many(1000).encode())
    choose(db, home, upload.id, EXPRESS, now=NOW)
    job = upload_jobs.ask_import(db, home, upload.id, by="operator:1", now=NOW)
    real = Work.progress

    def halfway(self: Work, label: str, done: int, total: int | None = None) -> None:
        if label == "importing rows" and done >= 500:
            self.stop(job_work.Cancelled)
        real(self, label, done, total)

    with monkeypatch.context() as patch:
        patch.setattr(Work, "progress", halfway)
        stopped = work(db, home, job)
    assert stopped.state is JobState.CANCELLED
    assert 0 < stopped.result["created"] < 1000
    assert len(emails(db)) == stopped.result["created"] == stopped.result["rows"]
    with db.read() as session:
        run = imports.get(session, stopped.result["import"])
    assert run is not None
    assert (run.state, run.counts["created"]) == ("cancelled", stopped.result["created"])
    assert "import.cancelled" in actions(db)

    later = NOW + timedelta(hours=1)
    ended = work(
        db, home, upload_jobs.ask_import(db, home, upload.id, by="operator:1", now=later), later
    )
    assert (ended.result["created"], ended.result["unchanged"]) == (1000, 0)
    assert ended.result["import"] == run.id
    undone = work(
        db, home, upload_jobs.ask_undo(db, home, run.id, by="operator:1", now=later), later
    )
    assert undone.result["removed"] == 1000
    assert emails(db) == []


def test_an_undo_takes_back_what_the_import_did_and_nothing_that_others_did(
    any_database: Database, home: Home
) -> None:
    db = any_database
    nobody = Choices(mapping={1: "email"})
    bring(
        db, home, "email,city,job\nold@example.com,Cluj,notar\nshy@example.com,,\n", choices=nobody
    )
    later = NOW + timedelta(hours=1)
    second = (
        "email,city,job,car,Do Not Email\n"
        "old@example.com,Iași,florar,Dacia,\n"
        "shy@example.com,,,,Yes\n"
        + "".join(
            f"{name}@example.com,Arad,x,,\n"
            for name in ("plain", "mailed", "left", "moved", "drawn")
        )
    )
    _, job = bring(db, home, second, at=later)
    run_id = job.result["import"]
    assert job.result["consented"] == 6
    world = World(db, leads=0)
    with db.write() as session:
        ids = {lead.email.partition("@")[0]: lead.id for lead in leads.iterate(session)}
        segment_id = session.scalars(select(Segment.id)).one()
        session.add(
            Message(
                campaign_id=world.campaign_id, lead_id=ids["mailed"], variant_id=world.variant_id,
                step=1, occurrence="", wave=1, send_key="a" * 32, address_hash="", channel="file",
                state="accepted", reason="", attempts=1, owner="", epoch=1, provider_id="",
                status="", planned_at=later,
            )
        )  # fmt: skip
        session.add(
            Assignment(
                campaign_id=world.campaign_id, lead_id=ids["drawn"], segment_id=segment_id,
                arm="A", propensity=0.5, wave=0, seed=1, at=later,
            )
        )  # fmt: skip
        consents.withdraw(
            session, ids["left"], source="page", proof="", at=later + timedelta(minutes=1)
        )
        session.get_one(Lead, ids["moved"]).updated_at = later + timedelta(minutes=1)
        _, fields = leads.by_emails(session, ["old@example.com"])["old@example.com"]
        changed = fields._replace(attributes={**fields.attributes, "job": "medic"})
        leads.change(session, [(ids["old"], changed)], later + timedelta(minutes=1))

    at = later + timedelta(hours=1)
    result = work(
        db, home, upload_jobs.ask_undo(db, home, run_id, by="operator:1", now=at), at
    ).result
    assert {name: result[name] for name in ("removed", "kept", "restored", "changed_since")} == {
        "removed": 1, "kept": 4, "restored": 2, "changed_since": 1,
    }  # fmt: skip
    assert result["stops_kept"] == 1
    with db.read() as session:
        stored = {lead.email.partition("@")[0]: lead for lead in leads.iterate(session)}
        assert set(stored) == {"old", "shy", "mailed", "left", "moved", "drawn"}
        assert (stored["old"].city, stored["old"].attributes) == ("Cluj", {"job": "medic"})
        states = consents.consent_states(session, list(ids.values()))
        # What was mailed keeps the reason of that mail, and gets no other; what was never mailed may be
        # granted anew by a better list.
        assert states == {
            ids["mailed"]: ConsentState.WITHDRAWN,
            ids["left"]: ConsentState.WITHDRAWN,
        }
        assert leads.mailable(session) == []
        rows = session.scalars(select(Consent.state).where(Consent.lead_id == ids["mailed"]))
        assert sorted(rows) == ["granted", "withdrawn"]
        hushed = session.scalars(select(Suppression.reason))
        assert list(hushed) == [SuppressionReason.DO_NOT_MAIL.value]


def test_only_one_import_of_a_file_is_open_and_the_job_table_tells_nothing_of_people(
    database: Database, home: Home
) -> None:
    upload = receive(database, home, b"email,first name\nana@example.com,Canarina\n")
    choose(database, home, upload.id, EXPRESS, now=NOW)
    first = upload_jobs.ask_import(database, home, upload.id, by="operator:1", now=NOW)
    assert (
        upload_jobs.ask_import(database, home, upload.id, by="operator:1", now=NOW).id == first.id
    )
    with pytest.raises(Refused):
        uploads.discard(database, home, upload.id, by="operator:1", now=NOW)
    with database.write() as session:
        job_rows.ask_to_cancel(session, first.id, at=NOW)
    uploads.discard(database, home, upload.id, by="operator:1", now=NOW)
    with database.read() as session:
        assert session.query(ImportRun).count() == 0
