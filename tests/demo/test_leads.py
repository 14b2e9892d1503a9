"""The example leads: seeded, invented, under reserved domains, with the faults of real lists."""

from __future__ import annotations

import csv
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pigeonry.config import Home
from pigeonry.demo.leads import examples, persona_of, write
from pigeonry.domain import Language
from pigeonry.service.leads import import_leads
from pigeonry.store import leads
from pigeonry.store.session import Database

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 27, tzinfo=UTC)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("name", "count", "seed", "style"),
    [("leads.csv", 2000, 7, "plain"), ("leads-hubspot.csv", 300, 11, "hubspot")],
)
def test_the_committed_examples_are_what_the_generator_writes(
    tmp_path: Path, name: str, count: int, seed: int, style: str
) -> None:
    write(tmp_path / name, rows=count, seed=seed, style=style)
    committed = ROOT / "examples" / name
    assert (tmp_path / name).read_bytes() == committed.read_bytes()
    assert committed.stat().st_size < 600_000


@pytest.mark.parametrize("name", ["leads.csv", "leads-hubspot.csv"])
def test_every_address_is_under_a_reserved_domain(name: str) -> None:
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    found = re.findall(r"@([\w.-]+)", text)
    assert found
    assert all(re.search(r"(^|\.)example(\.(com|org|net))?$", domain.lower()) for domain in found)


def test_about_six_in_ten_are_romanian_and_six_kinds_of_people_are_there() -> None:
    people = list(examples(2000, 7))
    assert 0.57 < sum(p.language is Language.RO for p in people) / 2000 < 0.63
    assert len({p.email for p in people}) == 2000
    kinds = Counter(
        found[1] for row in rows(ROOT / "examples" / "leads.csv") if (found := persona_of(row))
    )
    assert set(kinds) == {"freelancer", "parent", "shop", "it", "student", "hr"}
    assert min(kinds.values()) > 200


def test_they_are_imported_with_some_faults_some_opted_out_and_some_without_consent(
    database: Database, home: Home
) -> None:
    report = import_leads(
        database,
        home,
        ROOT / "examples" / "leads.csv",
        mapping={},
        consent=None,
        dry_run=False,
        now=NOW,
    )
    assert report.rows == 2000
    assert 10 <= report.rejected <= 40
    assert 30 <= report.suppressed <= 90
    assert 1700 <= report.consented < report.rows - report.suppressed - report.rejected
    assert report.created < report.rows - report.rejected, "a few people stand in it twice"
    with database.read() as session:
        found = leads.mailable(session, limit=5000)
    assert {lead.language for lead in found} == {Language.RO, Language.EN, None}


def test_the_hubspot_file_is_understood_without_a_word(database: Database, home: Home) -> None:
    report = import_leads(
        database,
        home,
        ROOT / "examples" / "leads-hubspot.csv",
        mapping={},
        consent=None,
        dry_run=False,
        now=NOW,
    )
    mapped = {field for field in report.mapping.values() if field != "attribute"}
    assert {"external_id", "email", "consent", "do_not_mail", "country", "language"} <= mapped
    assert report.consented > 200
