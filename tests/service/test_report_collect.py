"""The report of two real campaigns over a small database: its numbers are the database's."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from pigeonry.config import Home, load_home
from pigeonry.demo.run import personas
from pigeonry.demo.simulator import answers, mailbox
from pigeonry.errors import NotFound, OutsideFailure
from pigeonry.service.campaigns import create_campaign, run_campaign
from pigeonry.service.events import ingest_events
from pigeonry.service.leads import import_leads
from pigeonry.service.learning import learn
from pigeonry.service.report_collect import collect
from pigeonry.service.report_data import ReportData
from pigeonry.service.reports import write_report
from pigeonry.store.session import Database

ROOT = Path(__file__).parents[2]
START = datetime(2026, 11, 2, 9, tzinfo=UTC)
BRIEFS = ("first-campaign", "second-campaign")


@dataclass(frozen=True)
class Told:
    db: Database
    home: Home
    campaigns: tuple[int, ...]
    data: ReportData
    page: str

    def rows(self, query: str) -> list[Any]:
        with self.db.read() as session:
            return [tuple(row) for row in session.execute(text(query))]


def _standing(now: datetime) -> Callable[[], datetime]:
    return lambda: now


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[Told]:
    """Two campaigns over 300 example leads, with SIMULATED replies in between; words stand in for
    meaning and the copy library writes, so that no model is needed."""
    folder = tmp_path_factory.mktemp("report") / "home"
    folder.mkdir()
    shutil.copyfile(_sqlite_template, folder / "pigeonry.db")
    home = load_home(
        folder,
        env={
            "PIGEONRY_EMBEDDING__BACKEND": "hashing",
            "PIGEONRY_LLM__LOCAL": "false",
            "PIGEONRY_SEGMENTS__K_MAX": "4",
        },
    )
    db = Database(home.database_url)
    leads = folder / "leads.csv"
    lines = (ROOT / "examples" / "leads.csv").read_text(encoding="utf-8-sig").splitlines()
    leads.write_text("\n".join(lines[:301]) + "\n", encoding="utf-8")
    import_leads(db, home, leads, mapping={}, consent=None, dry_run=False, now=START)
    numbers = []
    seen: set[str] = set()
    for place, name in enumerate(BRIEFS):
        at = START + timedelta(days=7 * place)
        brief = (ROOT / "examples" / "briefs" / f"{name}.toml").read_text(encoding="utf-8")
        number = create_campaign(db, home, brief, where=name, occurrence="", now=at)
        numbers.append(number)
        for until, later in (("send_test", 0), ("", 3)):
            now = at + timedelta(days=later)
            run_campaign(
                db,
                home,
                number,
                until=until,
                clock=_standing(now),
                approve_as="test",
                send=True,
            )
            replies = list(answers(mailbox(home.outbox, seen=seen), personas(leads), seed=3))
            then = now + timedelta(days=3)
            ingest_events(db, home, json.dumps(replies).encode(), source="sendgrid", now=then)
            learn(db, home, now=then)
    data = collect(db, home, numbers, now=START + timedelta(days=14), simulated="Simulated.")
    path = write_report(
        db, home, numbers, folder / "page.html", now=START + timedelta(days=14),
        simulated="Simulated.",
    )  # fmt: skip
    yield Told(db, home, tuple(numbers), data, path.read_text(encoding="utf-8"))
    db.dispose()


def test_every_mail_that_left_is_counted(told: Told) -> None:
    for facts in told.data.campaigns:
        ((sent, held),) = told.rows(
            "SELECT (SELECT count(*) FROM message WHERE state = 'accepted' AND campaign_id = c.id), "
            "(SELECT count(*) FROM assignment WHERE arm = 'holdout' AND campaign_id = c.id) "
            f"FROM campaign c WHERE c.id = {facts.id}"
        )
        assert facts.sent == sent > 100
        assert facts.held_out == held > 5
        assert sum(arm.sends for arm in facts.arms) == sent
        assert sum(cell.sends for cell in facts.cells) == sent
        assert sum(sum(wave.arms.values()) for wave in facts.waves) == sent
    files = len(list(told.home.outbox.rglob("*.eml")))
    assert sum(facts.sent for facts in told.data.campaigns) == files


def test_clicks_are_those_of_people(told: Told) -> None:
    for facts in told.data.campaigns:
        ((clicks,),) = told.rows(
            "SELECT count(DISTINCT message_id) FROM event e JOIN message m ON m.id = e.message_id "
            f"WHERE e.kind = 'click' AND e.human >= 0.5 AND m.campaign_id = {facts.id}"
        )
        assert sum(arm.clicks for arm in facts.arms) == clicks > 0
        assert sum(cell.clicks for cell in facts.cells) == clicks
        assert sum(arm.machine_opens for arm in facts.arms) > 0


def test_segments_add_up_over_both_campaigns(told: Told) -> None:
    assert sum(segment.sends for segment in told.data.segments) == sum(
        facts.sent for facts in told.data.campaigns
    )
    ((leads,),) = told.rows("SELECT count(*) FROM lead")
    assert sum(segment.size for segment in told.data.segments) == leads
    assert told.data.map is not None
    assert set(told.data.map.segment_ids) <= {segment.id for segment in told.data.segments}


def test_each_variant_is_shown_as_the_mail_it_becomes(told: Told) -> None:
    for facts in told.data.campaigns:
        ((variants,),) = told.rows(f"SELECT count(*) FROM variant WHERE campaign_id = {facts.id}")
        assert len(facts.mails) == variants > 0
        for mail in facts.mails:
            assert mail.hook.split()[0] in mail.html
            assert re.search(r"(Bună|Hello),? Ana", mail.html)
            assert mail.predicted_click is not None
            assert mail.attempts
    assert told.page.count("<iframe ") == sum(len(facts.mails) for facts in told.data.campaigns)


def test_the_unsubscribe_link_of_a_sample_does_not_work(told: Told) -> None:
    from pigeonry.delivery.links import load_links

    links = load_links(told.home)
    found = re.findall(r"/u/([a-z2-7]{20,})", told.page)
    assert found
    assert all(links.verify(token) is None for token in found)


def test_no_personal_value_is_on_the_page(told: Told) -> None:
    for address, phone in told.rows("SELECT email, phone FROM lead"):
        assert address not in told.page
        assert not phone or phone not in told.page


def test_the_second_campaign_is_told_from_what_the_first_taught(told: Told) -> None:
    first, second = told.data.campaigns
    assert first.beliefs == ()
    assert first.prior_sends == 0
    assert second.prior_sends > 0
    assert {belief.prompt for belief in second.beliefs} == {arm.prompt for arm in first.arms}
    assert all(
        belief.rate.low < belief.rate.estimate < belief.rate.high for belief in second.beliefs
    )
    assert "Nothing was known of" in told.page


def test_the_last_step_of_the_waterfall_is_what_was_spent(told: Told) -> None:
    costs = told.data.costs
    assert costs is not None
    assert costs.steps[-1].micros == sum(facts.cost_micros for facts in told.data.campaigns)
    assert costs.steps[0].micros > costs.steps[-1].micros
    assert all(price.dated and price.source for price in costs.prices)


def test_the_page_of_real_campaigns_holds_what_the_page_promises(told: Told) -> None:
    assert "{{" not in told.page
    assert not re.search(r"\b(None|nan)\b", told.page)
    assert "<script" not in told.page
    assert len(told.page.encode()) < 3_000_000
    shell = re.sub(r'srcdoc="[^"]*"', "", told.page)
    assert not re.search(r"(?:src|href|action)=\"(?!#)", shell)


def test_one_campaign_alone_has_its_own_costs(told: Told) -> None:
    alone = collect(told.db, told.home, told.campaigns[:1], now=START)
    both = told.data.costs
    assert alone.costs is not None
    assert both is not None
    assert 0 < alone.costs.steps[0].micros < both.steps[0].micros


def test_a_campaign_that_does_not_exist_is_named(
    database: Database, home: Home, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="campaign 7"):
        write_report(database, home, [7], tmp_path / "page.html", now=START)
    assert not list(tmp_path.glob("page*"))


def test_an_empty_database_gives_a_page_that_says_so(
    database: Database, home: Home, tmp_path: Path
) -> None:
    page = write_report(database, home, [], tmp_path / "deep" / "page.html", now=START)
    assert "There is no campaign to report on yet" in page.read_text(encoding="utf-8")


def test_a_page_that_cannot_be_written_leaves_nothing_behind(
    database: Database, home: Home, tmp_path: Path
) -> None:
    (tmp_path / "page.html").mkdir()
    with pytest.raises(OutsideFailure, match="cannot write the report"):
        write_report(database, home, [], tmp_path / "page.html", now=START)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("page")] == [
        "page.html"
    ]
