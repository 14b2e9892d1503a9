"""The stage machine: what comes next is data, a stage may run twice, and people can stop it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pigeonry.config import Home, load_home
from pigeonry.domain import ConsentBasis, ConsentClaim
from pigeonry.errors import NotFound, Refused, WrongUse
from pigeonry.service import campaigns
from pigeonry.service.leads import import_leads
from pigeonry.store import leads as stored_leads
from pigeonry.store import preferences
from pigeonry.store.preferences import Preferences
from pigeonry.store.session import Database

BRIEF = Path(__file__).resolve().parents[2] / "examples" / "briefs" / "course-provider.toml"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
EXPRESS = ConsentClaim(ConsentBasis.EXPRESS, "test")


@pytest.fixture
def small_home(home: Home) -> Home:
    """No models: words stand in for vectors, the copy library writes."""
    (home.path / "pigeonry.toml").write_text(
        '[embedding]\nbackend = "hashing"\n[llm]\nlocal = false\n', encoding="utf-8"
    )
    return load_home(home.path, env={})


@pytest.fixture
def leads(small_home: Home, database: Database, tmp_path: Path) -> int:
    path = tmp_path / "leads.csv"
    jobs = ("designer", "contabil", "profesor")
    rows = [f"p{n}@example.com,Ana,{jobs[n % 3]},RO" for n in range(60)]
    path.write_text("Email,Prenume,Ocupație,Țara\n" + "\n".join(rows) + "\n", encoding="utf-8")
    import_leads(database, small_home, path, mapping={}, consent=EXPRESS, dry_run=False, now=NOW)
    return 60


def create(db: Database, home: Home, text: str | None = None, occurrence: str = "") -> int:
    return campaigns.create_campaign(
        db, home, text or BRIEF.read_text(), where="brief", occurrence=occurrence, now=NOW
    )


def files(home: Home) -> int:
    return len(list(home.outbox.rglob("*.eml")))


def test_a_campaign_runs_to_its_end_and_a_second_run_sends_nothing(
    small_home: Home, database: Database, leads: int
) -> None:
    number = create(database, small_home)
    result = campaigns.run_campaign(database, small_home, number, approve_as="me", send=True)
    assert (result.next, result.state) == (campaigns.END, "done")
    view = campaigns.view(database, number)
    assert view.sent + view.held_out == leads
    assert files(small_home) == view.sent
    assert set(view.notes) == set(campaigns.STAGES)
    again = campaigns.run_campaign(database, small_home, number, approve_as="me", send=True)
    assert again.done == ""
    assert files(small_home) == view.sent


def test_who_wants_a_pause_holds_up_nobody_else(
    small_home: Home, database: Database, leads: int
) -> None:
    until = datetime.now(UTC) + timedelta(days=90)
    with database.write() as session:
        for lead in stored_leads.mailable(session)[:20]:
            preferences.put(session, lead.id, Preferences(paused_until=until), at=NOW)
    number = create(database, small_home)
    result = campaigns.run_campaign(database, small_home, number, approve_as="me", send=True)
    assert (result.next, result.state) == (campaigns.END, "done")
    view = campaigns.view(database, number)
    assert 0 < view.cancelled <= 20
    assert view.sent + view.held_out + view.cancelled == leads
    assert files(small_home) == view.sent
    assert view.waiting == 0


def test_the_same_brief_is_the_same_campaign_and_another_occurrence_is_another(
    small_home: Home, database: Database
) -> None:
    first = create(database, small_home)
    assert create(database, small_home) == first
    assert create(database, small_home, occurrence="2026-W48") != first


def test_a_changed_brief_under_the_same_name_is_refused(
    small_home: Home, database: Database
) -> None:
    create(database, small_home)
    changed = BRIEF.read_text().replace("690", "650")
    assert changed != BRIEF.read_text()
    with pytest.raises(Refused, match="another text"):
        create(database, small_home, changed)


def test_without_approval_it_waits_before_the_first_lot_is_drawn(
    small_home: Home, database: Database, leads: int
) -> None:
    number = create(database, small_home)
    result = campaigns.run_campaign(database, small_home, number, send=True)
    assert (result.next, result.state) == ("approve", "waiting")
    assert campaigns.view(database, number).planned == 0
    campaigns.approve(database, number, by="Ioana", now=NOW)
    result = campaigns.run_campaign(database, small_home, number, send=True)
    assert result.state == "done"
    assert campaigns.view(database, number).approved_by == "Ioana"


def test_nothing_can_be_approved_before_it_is_written(
    small_home: Home, database: Database, leads: int
) -> None:
    number = create(database, small_home)
    with pytest.raises(Refused, match="not written"):
        campaigns.approve(database, number, by="me", now=NOW)


def test_without_send_nothing_is_planned(small_home: Home, database: Database, leads: int) -> None:
    number = create(database, small_home)
    result = campaigns.run_campaign(database, small_home, number, approve_as="me")
    assert (result.next, result.state) == ("assign_test", "waiting")
    assert campaigns.view(database, number).planned == 0
    assert campaigns.view(database, number).variants


def test_the_test_wave_ripens_for_as_long_as_the_brief_says(
    small_home: Home, database: Database, leads: int
) -> None:
    text = BRIEF.read_text()
    text = (
        text.replace("[experiment]", "[experiment]\nwait_hours = 24")
        if "[experiment]" in text
        else text + "\n[experiment]\nwait_hours = 24\n"
    )
    number = create(database, small_home, text)
    moment = NOW

    def clock() -> datetime:
        return moment

    def run() -> campaigns.StageResult:
        return campaigns.run_campaign(
            database, small_home, number, clock=clock, approve_as="me", send=True
        )

    result = run()
    assert (result.next, result.state) == ("ripen", "waiting")
    test_wave = files(small_home)
    assert 0 < test_wave < leads
    moment = NOW + timedelta(hours=23)
    assert run().next == "ripen"
    assert files(small_home) == test_wave
    moment = NOW + timedelta(hours=25)
    assert run().state == "done"
    view = campaigns.view(database, number)
    assert files(small_home) == view.sent == leads - view.held_out


def test_a_paused_campaign_does_nothing_until_it_is_resumed(
    small_home: Home, database: Database, leads: int
) -> None:
    number = create(database, small_home)
    campaigns.run_campaign(
        database, small_home, number, until="assign_test", approve_as="me", send=True
    )
    campaigns.pause(database, number)
    result = campaigns.run_campaign(database, small_home, number, approve_as="me", send=True)
    assert (result.done, result.state) == ("", "paused")
    assert files(small_home) == 0
    campaigns.resume(database, number)
    assert campaigns.run_campaign(database, small_home, number, send=True).state == "done"


def test_a_cancelled_campaign_cancels_what_has_not_left_and_stays_so(
    small_home: Home, database: Database, leads: int
) -> None:
    number = create(database, small_home)
    campaigns.run_campaign(
        database, small_home, number, until="assign_test", approve_as="me", send=True
    )
    planned = campaigns.view(database, number).planned
    campaigns.cancel(database, number)
    view = campaigns.view(database, number)
    assert (view.state, view.cancelled) == ("cancelled", planned)
    assert campaigns.run_campaign(database, small_home, number, send=True).state == "cancelled"
    assert files(small_home) == 0
    with pytest.raises(Refused, match="cancelled cannot become"):
        campaigns.resume(database, number)


def test_a_stop_leaves_the_rest_planned_and_the_next_run_sends_it(
    small_home: Home, database: Database, leads: int
) -> None:
    number = create(database, small_home)
    stop = threading.Event()
    stop.set()
    result = campaigns.run_campaign(
        database, small_home, number, approve_as="me", send=True, stop=stop
    )
    assert (result.next, result.state) == ("send_test", "waiting")
    assert files(small_home) == 0
    assert campaigns.run_campaign(database, small_home, number, send=True).state == "done"
    view = campaigns.view(database, number)
    assert files(small_home) == view.sent == leads - view.held_out


def test_nobody_to_write_to_is_said_before_anything_is_written(
    small_home: Home, database: Database, tmp_path: Path
) -> None:
    number = create(database, small_home)
    with pytest.raises(NotFound, match="pigeonry leads import"):
        campaigns.run_campaign(database, small_home, number)
    path = tmp_path / "no-consent.csv"
    path.write_text("Email\na@example.com\n")
    import_leads(database, small_home, path, mapping={}, consent=None, dry_run=False, now=NOW)
    with pytest.raises(Refused, match="none of 1 leads may be written to"):
        campaigns.run_campaign(database, small_home, number)


def test_a_stage_that_does_not_exist_is_named(small_home: Home, database: Database) -> None:
    with pytest.raises(WrongUse, match="no stage 'sned_test'"):
        campaigns.run_campaign(
            database, small_home, create(database, small_home), until="sned_test"
        )
