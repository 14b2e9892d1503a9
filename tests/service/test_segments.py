"""Refreshing segments: everybody gets one, ids outlive refits, only what changed is embedded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from audience.embed import HashingEmbedder
from pigeonry.config import Home, load_home
from pigeonry.domain import ConsentBasis, ConsentClaim
from pigeonry.errors import NotFound
from pigeonry.service import segments as service
from pigeonry.service.leads import import_leads
from pigeonry.service.people import erase_person
from pigeonry.service.segments import (
    SegmentsReport,
    list_segments,
    refresh_segments,
    segment_map,
    show_segment,
)
from pigeonry.store import leads
from pigeonry.store.models import Lead, LeadVector, Segment, SegmentMember
from pigeonry.store.session import Database

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
JOBS = ("nurse at a hospital ward", "bricklayer on building sites", "violin teacher", "tax lawyer")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home that needs no weights."""
    (tmp_path / "home").mkdir(exist_ok=True)
    return load_home(tmp_path / "home", env={"PIGEONRY_EMBEDDING__BACKEND": "hashing"})


def people(jobs: Sequence[str], each: int, start: int = 0) -> list[tuple[str, str]]:
    return [
        (f"person{start + number}@example.com", jobs[number % len(jobs)])
        for number in range(each * len(jobs))
    ]


def add(db: Database, home: Home, rows: Iterable[tuple[str, str]]) -> None:
    path = home.path / "leads.csv"
    lines = [f"{email},{job}" for email, job in rows]
    path.write_text("\n".join(["Email,Occupation", *lines]) + "\n", encoding="utf-8")
    claim = ConsentClaim(ConsentBasis.EXPRESS, "form")
    import_leads(db, home, path, mapping={}, consent=claim, dry_run=False, now=NOW)


def refresh(db: Database, home: Home, **options: Any) -> SegmentsReport:
    return refresh_segments(db, home, now=options.pop("now", NOW), **options)


def where(db: Database) -> dict[str, int | None]:
    with db.read() as session:
        return {lead.email: lead.segment_id for lead in leads.iterate(session, limit=10_000)}


def count(db: Database, table: type[Any]) -> int:
    with db.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_every_lead_gets_a_segment_with_those_like_it(any_database: Database, home: Home) -> None:
    rows = people(JOBS, 25)
    add(any_database, home, rows)
    report = refresh(any_database, home)
    placed = where(any_database)
    by_job = {job: {placed[email] for email, own in rows if own == job} for job in JOBS}
    assert all(len(ids) == 1 for ids in by_job.values())
    assert len(report.segments) == 4
    assert sum(segment.size for segment in report.segments) == 100
    assert (report.assigned, report.moved, report.embedded, report.reused) == (100, 0, 4, 96)
    assert report.segments == list_segments(any_database)


def test_the_same_audience_again_changes_nothing(any_database: Database, home: Home) -> None:
    add(any_database, home, people(JOBS, 10))
    first = refresh(any_database, home)
    again = refresh(any_database, home, now=NOW + timedelta(days=1))
    assert again.segments == first.segments
    assert (again.assigned, again.moved, again.embedded, again.refit) == (0, 0, 0, False)


def test_a_new_lead_is_assigned_without_a_refit(database: Database, home: Home) -> None:
    add(database, home, people(JOBS, 25))
    first = refresh(database, home)
    add(database, home, [("new@example.com", JOBS[0])])
    report = refresh(database, home, now=NOW + timedelta(hours=1))
    placed = where(database)
    assert placed["new@example.com"] == placed["person0@example.com"]
    assert (report.assigned, report.moved, report.refit) == (1, 0, False)
    assert report.model == first.model


def test_more_than_a_fifth_of_new_leads_brings_a_refit_that_keeps_the_ids(
    database: Database, home: Home
) -> None:
    add(database, home, people(JOBS, 25))
    before = {segment.id for segment in refresh(database, home).segments}
    add(database, home, people(("shepherd in the hills",), 40, start=1000))
    report = refresh(database, home, now=NOW + timedelta(hours=1))
    after = {segment.id for segment in report.segments}
    assert report.refit
    assert before < after
    assert report.moved == 0


def test_a_forced_refit_moves_nobody_when_nothing_changed(database: Database, home: Home) -> None:
    add(database, home, people(JOBS, 25))
    before = where_after = None
    refresh(database, home)
    before = where(database)
    report = refresh(database, home, refit=True, now=NOW + timedelta(hours=1))
    where_after = where(database)
    assert report.refit
    assert before == where_after


def test_a_changed_lead_moves_to_where_it_belongs_now(database: Database, home: Home) -> None:
    add(database, home, people(JOBS, 25))
    refresh(database, home)
    with database.write() as session:
        session.execute(
            update(Lead)
            .where(Lead.email == "person0@example.com")
            .values(attributes={"Occupation": JOBS[1]})
        )
    report = refresh(database, home)
    placed = where(database)
    assert placed["person0@example.com"] == placed["person1@example.com"]
    assert (report.moved, report.assigned, report.embedded) == (1, 0, 0)


def test_a_segment_that_no_fit_finds_any_more_retires_and_keeps_its_row(
    database: Database, home: Home
) -> None:
    add(database, home, people(JOBS, 25))
    refresh(database, home)
    gone = where(database)["person0@example.com"]
    assert gone is not None
    with database.write() as session:
        session.execute(
            update(Lead).where(Lead.segment_id == gone).values(attributes={"Occupation": JOBS[1]})
        )
    report = refresh(database, home, refit=True, now=NOW + timedelta(days=1))
    assert gone not in {segment.id for segment in report.segments}
    segment, retired = show_segment(database, gone)
    assert (segment.size, retired) == (0, NOW + timedelta(days=1))


def test_leads_without_a_profile_have_a_segment_of_their_own(
    any_database: Database, home: Home
) -> None:
    add(any_database, home, [*people(JOBS, 10), ("a@example.com", ""), ("b@example.com", "Select")])
    report = refresh(any_database, home)
    placed = where(any_database)
    general = placed["a@example.com"]
    assert general == placed["b@example.com"]
    assert {s.name: s.size for s in report.segments if s.id == general} == {"General audience": 2}
    again = refresh(any_database, home, refit=True, now=NOW + timedelta(days=1))
    assert where(any_database) == placed
    assert again.moved == 0


def test_an_audience_of_whom_nothing_is_known_is_one_segment(
    database: Database, home: Home
) -> None:
    add(database, home, [(f"p{n}@example.com", "") for n in range(7)])
    (only,) = refresh(database, home).segments
    assert (only.name, only.size) == ("General audience", 7)
    assert refresh(database, home).moved == 0


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_a_handful_of_leads_is_segmented_too(database: Database, home: Home, size: int) -> None:
    add(database, home, people(JOBS, 2)[:size])
    report = refresh(database, home)
    assert sum(segment.size for segment in report.segments) == size
    assert None not in where(database).values()


def test_no_leads_are_no_segments(database: Database, home: Home) -> None:
    report = refresh(database, home)
    assert (report.segments, report.model, report.embedded) == ((), "", 0)
    assert segment_map(database, home).x.shape == (0,)


def test_another_embedder_fits_anew_and_ids_stay_with_their_members(
    database: Database, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(database, home, people(JOBS, 25))
    refresh(database, home)
    before = where(database)
    monkeypatch.setattr(HashingEmbedder, "dim", 256)
    monkeypatch.setattr(HashingEmbedder, "name", "hashed/256")
    report = refresh(database, home, now=NOW + timedelta(days=1))
    assert (report.refit, report.embedded, report.embedder) == (True, 4, "hashed/256")
    assert where(database) == before
    assert count(database, LeadVector) == 4


def test_vectors_of_an_erased_lead_are_forgotten(database: Database, home: Home) -> None:
    add(database, home, [*people(JOBS, 10), ("only@example.com", "astronaut on Mars")])
    refresh(database, home)
    assert count(database, LeadVector) == 5
    erase_person(database, home, "only@example.com", now=NOW)
    refresh(database, home)
    assert count(database, LeadVector) == 4
    assert count(database, SegmentMember) == 40


def test_a_run_that_died_after_the_fit_is_finished_by_the_next(
    database: Database, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(database, home, people(JOBS, 25))
    with monkeypatch.context() as patch:
        patch.setattr(service, "_assign_all", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            refresh(database, home)
    ids = {segment.id for segment in list_segments(database)}
    report = refresh(database, home)
    assert {segment.id for segment in report.segments} == ids
    assert None not in where(database).values()


def test_names_hold_no_personal_data(database: Database, home: Home) -> None:
    add(database, home, people(JOBS, 25))
    refresh(database, home)
    with database.read() as session:
        rows = session.scalars(select(Segment)).all()
    words = " ".join(f"{row.name} {row.description} {row.terms}" for row in rows)
    assert "person" not in words
    assert "@" not in words


def test_without_the_weights_it_groups_by_spelling_and_says_so(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIGEONRY_MODELS_CACHE", str(tmp_path / "nothing"))
    plain = load_home(tmp_path / "home", env={})
    add(database, plain, people(JOBS, 10))
    report = refresh(database, plain)
    assert "pigeonry models fetch" in report.note
    assert report.embedder == HashingEmbedder.name


def test_the_map_has_a_place_for_each_lead_of_the_sample(database: Database, home: Home) -> None:
    add(database, home, people(JOBS, 25))
    refresh(database, home)
    found = segment_map(database, home, sample=60, seed=1)
    assert found.x.shape == found.y.shape == found.segment_ids.shape == (60,)
    assert set(found.segment_ids) <= {segment.id for segment in list_segments(database)}


def test_an_unknown_segment_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound, match="segment 99"):
        show_segment(database, 99)
