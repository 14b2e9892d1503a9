"""The packaged micro model proposes through the whole path, and only what passes every check ships."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import update

from generation.brief import parse_brief
from generation.checks import check_copy
from generation.prompts import load_prompts
from pigeonry.config import Home, load_home
from pigeonry.domain import CallOutcome
from pigeonry.service.models import GGUF, cache_folder
from pigeonry.service.variants import write_variants
from pigeonry.store import campaigns, ledger
from pigeonry.store.campaigns import ArmPlan
from pigeonry.store.models import Lead, Segment
from pigeonry.store.session import Database
from tests.service.learning.world import World

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BRIEF = Path("examples/briefs/first-campaign.toml").read_text(encoding="utf-8")


@pytest.fixture
def weights(home: Home) -> Path:
    """The packaged weights from the shared cache; fetching them is `pigeonry models fetch`'s work."""
    found = sorted(cache_folder().glob(f"{Path(GGUF).stem}*"))
    if not found:
        pytest.skip(f"{GGUF} is not in {cache_folder()}: run `pigeonry models fetch` once")
    target = home.models / GGUF
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        target.hardlink_to(found[0])
    except OSError:
        shutil.copyfile(found[0], target)
    return target


@pytest.mark.slow
def test_the_packaged_model_writes_within_its_caps_and_nothing_unchecked_ships(
    weights: Path, home: Home, database: Database
) -> None:
    world = World(database, home, leads=12)
    with database.write() as session:
        session.execute(update(Lead).values(language="en"))
        for number, about in enumerate(("Small shops: orders, stock", "Students: exams"), 1):
            values = {"name": about.split(":")[0], "description": about}
            session.execute(
                update(Segment).where(Segment.id == world.segments[number - 1]).values(**values)
            )
        number = campaigns.create(session, name="W", brief_source=BRIEF, occurrence="", stage="write",
                                  seed=5, channel="file", at=NOW)  # fmt: skip
        arms = {
            a: ArmPlan(p.name, p.version, 0.5) for a, p in zip("ABC", load_prompts(), strict=True)
        }
        campaigns.set_arms(session, number, arms, NOW)
    capped = load_home(home.path, env={"PIGEONRY_LLM__LOCAL_CALLS": "12"})
    report = write_variants(database, capped, number, now=NOW)
    assert report.local_model, report.note
    assert 1 <= report.calls <= 12
    assert report.seconds <= 60 + 20
    assert report.cost_micros == 0
    brief = parse_brief(BRIEF, where="x")
    assert len(report.variants) == 6
    assert all(check_copy(v.copy, brief, v.language) == () for v in report.variants)
    with database.read() as session:
        entries = [entry for _, entry in ledger.entries(session, number) if entry.tier == "local"]
    asked = [entry for entry in entries if entry.outcome is not CallOutcome.SKIPPED]
    assert all(entry.tokens_out for entry in asked if entry.outcome is not CallOutcome.FAILED)
    assert any(entry.outcome is CallOutcome.ACCEPTED for entry in asked)
