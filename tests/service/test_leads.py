"""Imports: exact counts, nothing lost, nothing granted that was taken back, the same after a kill."""

from __future__ import annotations

import csv
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pigeonry.config import Home, load_home
from pigeonry.domain import ConsentBasis, ConsentClaim, ConsentState, SuppressionReason
from pigeonry.domain.address import address_hash
from pigeonry.errors import BadInput, OutsideFailure, WrongUse
from pigeonry.service.leads import ImportReport, import_leads, parse_claim
from pigeonry.store import consent_texts, consents, leads
from pigeonry.store.models import ImportRun
from pigeonry.store.session import Database

NOW = datetime(2026, 11, 27, 9, 0, tzinfo=UTC)
CLAIM = ConsentClaim(ConsentBasis.EXPRESS, "form")


def run(
    db: Database,
    home: Home,
    text: str | Path,
    *,
    claim: ConsentClaim | None = CLAIM,
    dry_run: bool = False,
    mapping: Mapping[str, str] | None = None,
    at: datetime = NOW,
) -> ImportReport:
    path = text
    if isinstance(text, str):
        path = home.path / "leads.csv"
        path.write_text(text, encoding="utf-8")
    assert isinstance(path, Path)
    report = import_leads(
        db, home, path, mapping=mapping or {}, consent=claim, dry_run=dry_run, now=at
    )
    assert report.rows == report.created + report.updated + report.unchanged + report.rejected
    return report


def state(db: Database, home: Home) -> list[tuple[Any, ...]]:
    """Everything about all leads but ids and times."""
    with db.read() as session:
        found = leads.iterate(session, limit=100_000)
        key = home.secret("suppression.key")
        agreed = consents.consent_states(session, [lead.id for lead in found])
        hushed = consents.reasons(session, [address_hash(lead.email, key) for lead in found])
        return sorted(
            (
                lead.email,
                lead.first_name,
                lead.last_name,
                lead.language,
                lead.country,
                lead.city,
                tuple(sorted(lead.attributes.items())),
                agreed.get(lead.id),
                hushed.get(address_hash(lead.email, key)),
            )
            for lead in found
        )


def small(home: Home, batch: int = 3) -> Home:
    audience = home.settings.audience.model_copy(update={"batch": batch})
    return dataclasses.replace(
        home, settings=home.settings.model_copy(update={"audience": audience})
    )


FILE = (
    "Email,Prenume,Oraș,Job,Do Not Email\n"
    "ana@example.com,Ana,Iași,florar,No\n"
    "ION@example.com,Ion,Select,-,Yes\n"
    "broken@,X,,,No\n"
    "ana@example.com,,Cluj,,No\n"
    '"eva@example.com","Eva","Arad","notar, avocat",\n'
)


def test_counts_add_up_and_values_arrive(any_database: Database, home: Home) -> None:
    report = run(any_database, home, FILE)
    assert (report.rows, report.created, report.updated, report.unchanged, report.rejected) == (
        5,
        3,
        1,
        0,
        1,
    )
    assert (report.suppressed, report.consented) == (1, 3)
    with any_database.read() as session:
        ana = leads.by_email(session, "ana@example.com")
        assert ana is not None
        assert (ana.first_name, ana.city, ana.country) == ("Ana", "Cluj", "RO")
        assert ana.attributes == {"Job": "florar"}
        assert [lead.email for lead in leads.mailable(session)] == [
            "eva@example.com",
            "ana@example.com",
        ]


def test_the_same_file_twice_changes_nothing(any_database: Database, home: Home) -> None:
    run(any_database, home, FILE)
    before = state(any_database, home)
    report = run(any_database, home, FILE, at=NOW + timedelta(days=1))
    assert (report.created, report.updated, report.unchanged, report.rejected) == (0, 0, 4, 1)
    assert report.suppressed == 1
    assert state(any_database, home) == before
    assert any("was imported on 2026-11-27" in note for note in report.notes)


def test_without_consent_leads_are_stored_and_nobody_is_mailed(
    database: Database, home: Home
) -> None:
    report = run(database, home, FILE, claim=None)
    assert (report.created, report.consented) == (3, 0)
    with database.read() as session:
        assert leads.count_mailable(session) == 0


def test_stated_values_replace_and_empty_ones_do_not(any_database: Database, home: Home) -> None:
    run(any_database, home, "email,first name,city,job\na@example.com,Ana,Iași,florar\n")
    report = run(any_database, home, "email,first name,city,car\na@example.com,,Cluj,Dacia\n")
    assert report.updated == 1
    assert [(d.field, d.before, d.after) for d in report.differences] == [
        ("city", "Iași", "Cluj"),
        ("car", "", "Dacia"),
    ]
    with any_database.read() as session:
        lead = leads.by_email(session, "a@example.com")
    assert lead is not None
    assert (lead.first_name, lead.city) == ("Ana", "Cluj")
    assert lead.attributes == {"job": "florar", "car": "Dacia"}


@pytest.mark.parametrize(
    "reason", [SuppressionReason.UNSUBSCRIBE, SuppressionReason.COMPLAINT, SuppressionReason.BOUNCE]
)
def test_an_import_never_brings_back_a_suppressed_person(
    database: Database, home: Home, reason: SuppressionReason
) -> None:
    digest = address_hash("a@example.com", home.secret("suppression.key"))
    with database.write() as session:
        consents.suppress(session, digest, reason=reason, source="person", at=NOW)
    report = run(database, home, "email,do not email\na@example.com,yes\nb@example.com,no\n")
    assert (report.suppressed, report.consented) == (1, 1)
    with database.read() as session:
        assert [lead.email for lead in leads.mailable(session)] == ["b@example.com"]
        assert consents.reasons(session, [digest])[digest] is reason


def test_an_import_never_turns_a_withdrawal_into_a_grant(database: Database, home: Home) -> None:
    text = "email,consent\na@example.com,{}\n"
    assert run(database, home, text.format("express:form")).consented == 1
    assert run(database, home, text.format("no")).updated == 1
    report = run(database, home, text.format("express:form"), at=NOW + timedelta(days=9))
    assert (report.unchanged, report.consented) == (1, 0)
    with database.read() as session:
        lead = leads.by_email(session, "a@example.com")
        assert lead is not None
        assert consents.consent_state(session, lead.id) is ConsentState.WITHDRAWN


def test_an_erased_person_is_not_stored_again_and_not_repeated_in_the_errors(
    database: Database, home: Home
) -> None:
    digest = address_hash("gone@example.com", home.secret("suppression.key"))
    with database.write() as session:
        consents.suppress(
            session, digest, reason=SuppressionReason.ERASURE, source="person", at=NOW
        )
    report = run(
        database, home, "email,job\ngone@example.com,x\ngone@example.com,y\nb@example.com,z\n"
    )
    assert (report.created, report.rejected) == (1, 2)
    assert report.errors[0].code == "erased"
    assert report.errors_file is not None
    assert "gone" not in report.errors_file.read_text(encoding="utf-8")


def test_what_was_not_taken_stands_in_a_file_with_its_line_and_reason(
    database: Database, home: Home
) -> None:
    text = (
        'email,phone,note\na@example.com,+40 722 000 000,"one\ntwo"\n'
        'bad@,+40 722 000 001,"=HYPERLINK(""http://x"")"\nshort@example.com\n'
    )
    report = run(database, home, text)
    assert report.rejected == 2
    assert report.errors_file == home.reports / f"import-{report.run_id}-errors.csv"
    with report.errors_file.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["line"], row["row"], row["column"], row["code"]) for row in rows] == [
        ("4", "3", "email", "bad_address"),
        ("5", "4", "", "too_few_cells"),
    ]
    assert rows[0]["phone"] == "+40 722 000 001"
    assert rows[0]["note"] == '\'=HYPERLINK("http://x")'


def test_a_mended_error_file_can_be_imported_and_is_whole_again(
    database: Database, home: Home
) -> None:
    report = run(database, home, "email,note\nbad@,=1+A1\n")
    assert report.errors_file is not None
    mended = home.path / "mended.csv"
    text = report.errors_file.read_text(encoding="utf-8-sig")
    mended.write_text(text.replace("bad@,", "good@example.com,", 2), encoding="utf-8")
    run(database, home, mended, mapping={"email": "email"})
    with database.read() as session:
        lead = leads.by_email(session, "good@example.com")
    assert lead is not None
    assert lead.attributes["note"] == "=1+A1"


def test_a_dry_run_counts_and_writes_nothing(database: Database, home: Home) -> None:
    run(database, home, FILE)
    changed = FILE.replace("Cluj", "Sibiu") + "new@example.com,N,,,\n"
    before, files = state(database, home), sorted(home.path.rglob("*"))
    with database.read() as session:
        runs = session.query(ImportRun).count()
    report = run(database, home, changed, dry_run=True)
    assert (report.created, report.updated, report.rejected) == (1, 2, 1)
    assert ("ana@example.com", "city", "Cluj", "Sibiu") in [
        (d.email, d.field, d.before, d.after) for d in report.differences
    ]
    assert report.errors_file is None
    assert state(database, home) == before
    assert sorted(home.path.rglob("*")) == files
    with database.read() as session:
        assert session.query(ImportRun).count() == runs
    done = run(database, home, changed)
    assert (done.created, done.updated, done.unchanged, done.rejected) == (
        report.created,
        report.updated,
        report.unchanged,
        report.rejected,
    )


def test_a_file_that_is_no_table_changes_nothing(database: Database, home: Home) -> None:
    for text in ("", "email,city\n", "name,city\nAna,Iași\n", "email,a,a\nx@example.com,1,2\n"):
        with pytest.raises(BadInput):
            run(database, home, text)
    with database.read() as session:
        assert leads.count(session) == 0
        assert session.query(ImportRun).count() == 0


_ROW = st.tuples(
    st.sampled_from(["a@example.com", "B@example.com", "b@example.com", "c@example.com", "bad@"]),
    st.sampled_from(["", "Ana", "Ion"]),
    st.sampled_from(["", "Iași", "Cluj"]),
    st.sampled_from(["", "yes", "no"]),
    st.sampled_from(["", "express", "no", "maybe"]),
)


@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(_ROW, min_size=1, max_size=14), batch=st.integers(1, 5))
def test_batches_never_decide_what_a_lead_becomes(
    tmp_path_factory: pytest.TempPathFactory,
    _sqlite_template: Path,  # noqa: PT019
    rows: list[Any],
    batch: int,
) -> None:
    text = "email,first name,city,do not email,consent\n" + "".join(
        ",".join(row) + "\n" for row in rows
    )
    seen = []
    for size in (batch, 1000):
        folder = tmp_path_factory.mktemp("home")
        (folder / "pigeonry.db").write_bytes(_sqlite_template.read_bytes())
        home = small(load_home(folder, env={}), size)
        db = Database(home.database_url)
        report = run(db, home, text)
        first = state(db, home)
        again = run(db, home, text)
        assert again.created == again.updated == 0
        assert again.rejected == report.rejected
        assert state(db, home) == first
        # The order of suppressions and ids may differ; what is known and agreed may not.
        seen.append((first, report.created, report.updated, report.rejected, report.suppressed))
        db.dispose()
    assert seen[0] == seen[1]


def test_a_million_repeats_of_few_addresses_are_joined_within_bounds(
    database: Database, home: Home
) -> None:
    path = home.path / "many.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("email,city\n")
        for number in range(12_000):
            file.write(f"a{number % 7}@example.com,city {number}\n")
    report = run(database, home, path)
    assert (report.rows, report.created, report.updated) == (12_000, 7, 11_993)
    assert run(database, home, path).unchanged == 12_000
    with database.read() as session:
        lead = leads.by_email(session, "a0@example.com")
    assert lead is not None
    assert lead.city == "city 11998"


def test_killed_in_the_middle_and_started_again_it_ends_in_the_same_state(
    database: Database, home: Home, tmp_path: Path
) -> None:
    path = tmp_path / "leads.csv"
    with path.open("w", encoding="utf-8") as file:
        file.write("email,city,do not email\n")
        for number in range(3000):
            file.write(
                f"a{number % 2900}@example.com,city {number},{'yes' if number % 9 == 0 else ''}\n"
            )
    (home.path / "pigeonry.toml").write_text("[audience]\nbatch = 50\n")
    command = [
        sys.executable,
        "-m",
        "pigeonry",
        "leads",
        "import",
        str(path),
        "--home",
        str(home.path),
    ]
    child = subprocess.Popen(
        [*command, "--consent", "express:form"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={k: v for k, v in os.environ.items() if not k.startswith("PIGEONRY_")},
    )
    stored = 0
    while stored < 400 and child.poll() is None:
        time.sleep(0.02)
        with database.read() as session:
            stored = leads.count(session)
    child.send_signal(signal.SIGKILL)
    child.wait()
    with database.read() as session:
        stored = leads.count(session)
    assert 0 < stored < 2900, "it was to be killed in the middle"
    run(database, home, path)
    with database.read() as session:
        assert [run.state for run in session.query(ImportRun).order_by(ImportRun.id)] == [
            "interrupted",
            "done",
        ]
    resumed = state(database, home)

    whole = load_home(tmp_path / "whole", env={})
    whole.path.mkdir()
    from pigeonry.service.homes import init

    other = init(whole)
    run(other, whole, path)
    assert resumed == state(other, whole)
    other.dispose()


def test_a_full_disk_is_a_clear_error_and_finished_batches_are_kept(
    database: Database, home: Home
) -> None:
    from sqlalchemy import event

    home = small(home, 100)
    text = "email,note\n" + "".join(
        f"a{number}@example.com,{'x' * 500}\n" for number in range(3000)
    )

    def limit(connection: Any, _record: Any) -> None:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count={pages + 200}")

    cramped = Database(database.url)
    event.listen(cramped.engine, "connect", limit)
    with pytest.raises(OutsideFailure, match="full") as caught:
        run(cramped, home, text)
    cramped.dispose()
    assert "make room" in caught.value.fix
    with database.read() as session:
        kept = leads.count(session)
    assert 0 < kept < 3000
    assert not list(home.reports.glob("*.part"))
    report = run(database, home, text)
    assert (report.created, report.unchanged) == (3000 - kept, kept)


def test_nothing_of_an_import_is_left_in_the_temporary_folder(
    database: Database, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    run(database, home, FILE)
    assert not list((tmp_path / "scratch").iterdir())


@pytest.mark.slow
def test_the_real_leads_are_all_taken_within_ten_seconds(
    public_data: Path, database: Database, home: Home
) -> None:
    path = public_data / "leads" / "crm_export.csv.gz"
    began = time.monotonic()
    report = run(database, home, path)
    assert time.monotonic() - began <= 10
    assert (report.rows, report.created, report.rejected) == (4598, 4598, 0)
    assert report.suppressed == 364
    assert run(database, home, path).unchanged == 4598
    with database.read() as session:
        assert leads.count_mailable(session) == 4598 - 364


def test_a_claim_may_name_the_text_that_was_shown_and_ends_after_the_days_that_are_set(
    database: Database, home: Home, tmp_path: Path
) -> None:
    path = tmp_path / "list.csv"
    path.write_text("email\nana@example.com\n", encoding="utf-8")
    with database.write() as session:
        version = consent_texts.add(session, language="ro", text="Da.", at=NOW)
    (home.path / "pigeonry.toml").write_text("[privacy]\nconsent_days = 30\n")
    ending = load_home(home.path, env={})
    with pytest.raises(WrongUse, match="no consent text"):
        run(database, ending, path, claim=parse_claim(f"express:form@{'0' * 16}"))
    run(database, ending, path, claim=parse_claim(f"express:form@{version}"))
    with database.read() as session:
        lead = leads.by_email(session, "ana@example.com")
        assert lead is not None
        consent = consents.newest(session, lead.id)
        assert consent is not None
        assert (consent.source, consent.text_version) == ("form", version)
        last = NOW + timedelta(days=30)
        assert consent.expires_at == last
        assert leads.count_mailable(session, now=last - timedelta(seconds=1)) == 1
        assert leads.count_mailable(session, now=last) == 0


@pytest.mark.parametrize("named", ["legitimate-interest", "B2B", "interes legitim"])
def test_cold_mail_is_refused_with_the_reason(named: str) -> None:
    with pytest.raises(WrongUse, match="Law 506/2004"):
        parse_claim(f"{named}:bought list")
