"""The rooms where people look at what was earned: their numbers are those of `pigeonry campaign report`."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from pigeonry.cli import main
from pigeonry.config import Home
from pigeonry.domain.operator import Role
from pigeonry.service.events import ingest_events
from pigeonry.service.learning import learn
from pigeonry.store import campaigns, ledger, summaries
from pigeonry.store.session import Database
from tests.service.learning.world import NOON, World, clicks
from tests.web.console import Visitor, console, said

LATER = NOON + timedelta(days=2)


@pytest.fixture
def room(home: Home, database: Database) -> Iterator[SimpleNamespace]:
    """A campaign that is done, answered and learned from; segments with a map and traits."""
    world = World(database, home, leads=240)
    number = world.campaign()
    keys = world.sent(number, arm_of=lambda lead: "AB"[lead // 2 % 2])
    ingest_events(database, home, clicks(keys[:40:2]), source="sendgrid", now=LATER)
    learn(database, home, now=LATER)
    with database.write() as session:
        campaigns.update_state(session, number, stage="done", state="done", finished_at=LATER)
        session.execute(
            text("UPDATE segment SET name = '<b>Teachers</b>' WHERE id = :id"),
            {"id": world.segments[0]},
        )
        points = [[0.1, 0.2, world.segments[0]], [0.5, 0.4, world.segments[1]]]
        summaries.put(session, summaries.SEGMENT_MAP, {"points": points}, at=LATER)
        trait = {"column": "job", "value": "=teacher", "inside": 0.8, "overall": 0.4}
        summaries.put(
            session, summaries.SEGMENT_TRAITS, {str(world.segments[0]): [trait]}, at=LATER
        )
    with console(home, database) as visitor:
        yield SimpleNamespace(visitor=visitor, world=world, number=number)


def test_results_show_the_numbers_of_the_report(
    room: SimpleNamespace, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    visitor: Visitor = room.visitor
    listed = visitor.get("/results")
    assert f'href="/results/{room.number}"' in listed.text
    page = visitor.get(f"/results/{room.number}")
    assert page.status_code == 200
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["campaign", "report", str(room.number), "--home", str(home.path), "--json"])
    report = json.loads(capsys.readouterr().out)
    shown = said(page)
    for arm in report["arms"]:
        assert f"{arm['rate']:.2%}" in shown
        assert f"{arm['interval'][0]:.2%} to {arm['interval'][1]:.2%}" in shown
    assert "Lift not shown" in shown or "Lift shown" in shown
    assert "Nobody was held out" in shown
    assert "What was spent" in shown
    rows = list(csv.DictReader(io.StringIO(visitor.get(f"/results/{room.number}/table.csv").text.removeprefix("\ufeff"))))  # fmt: skip
    arms = [row for row in rows if row["table"] == "arm"]
    assert [float(row["rate"]) for row in arms] == [arm["rate"] for arm in report["arms"]]
    assert {row["segment"] for row in rows if row["table"] == "segment"} >= {"<b>Teachers</b>"}
    assert visitor.get("/results/999").status_code == 404


def test_a_large_campaign_is_worked_out_by_a_job(
    room: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor: Visitor = room.visitor
    started: list[int] = []
    monkeypatch.setattr("pigeonry.service.results_kept.AT_ONCE", 10)
    monkeypatch.setattr("pigeonry.service.jobs.start", lambda home, job: started.append(job))
    late = visitor.get(f"/results/{room.number}")
    assert "more replies have come in since" in said(late)
    with room.world.db.write() as session:
        session.execute(text("DELETE FROM summary WHERE name LIKE 'results/%'"))
    assert "not worked out yet" in said(visitor.get(f"/results/{room.number}"))
    assert visitor.get(f"/results/{room.number}/table.csv").status_code == 409
    asked = visitor.post(f"/results/{room.number}/count")
    assert asked.status_code == 303
    assert re.fullmatch(r"/jobs/\d+", asked.headers["location"])
    assert len(started) == 1
    assert visitor.as_role(Role.VIEWER).post(f"/results/{room.number}/count").status_code == 403


def test_segments_show_where_they_lie_and_what_they_share(
    room: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor: Visitor = room.visitor
    monkeypatch.setattr("pigeonry.service.jobs.start", lambda _home, _job: None)
    board = visitor.get("/segments")
    assert board.text.count('class="pin"') == 2
    assert "<b>Teachers" not in board.text
    assert "&lt;b&gt;Teachers" in board.text
    one = visitor.get(f"/segments/{room.world.segments[0]}")
    assert "job: =teacher" in said(one)
    assert "80%" in said(one)
    asked = visitor.post("/segments/refresh")
    assert "Refreshing the segments" in said(visitor.get(asked.headers["location"]))
    assert "being refreshed now" in said(visitor.get("/segments"))


def test_prompts_are_listed_read_and_compared(room: SimpleNamespace) -> None:
    visitor: Visitor = room.visitor
    with room.world.db.write() as session:
        session.execute(
            text("UPDATE prompt_version SET source = 'one\ntwo\nthree' WHERE version = :v"),
            {"v": "a" * 16},
        )
        session.execute(
            text("UPDATE prompt_version SET source = 'one\n<2>\nthree' WHERE version = :v"),
            {"v": "b" * 16},
        )
        variant = session.scalar(text("SELECT min(id) FROM variant WHERE arm = 'A'"))
        session.execute(
            text(
                "INSERT INTO llm_call (campaign_id, variant_id, language, tier, model, prompt, task,"
                " outcome, cache, tokens_in, tokens_out, cost_micros, currency, seconds, reason,"
                " proposal, at) SELECT campaign_id, :v, 'ro', 'small', 'm', prompt, 'subject', o.value,"
                " 'none', 1, 1, 30, 'EUR', 1, '', '', created_at FROM variant,"
                ' json_each(\'["accepted","refused","refused"]\') o WHERE variant.id = :v'
            ),
            {"v": variant},
        )
        assert ledger.spent(session).cost_micros == 90
    listed = said(visitor.get("/prompts"))
    assert "subject/benefit" in listed
    assert "33%" in listed
    assert "0.000090" in listed
    assert "one two three" in said(visitor.get(f"/prompts/{'a' * 16}"))
    both = visitor.get(f"/prompts/compare?first={'a' * 16}&second={'b' * 16}")
    assert "<del>two</del>" in both.text
    assert "<ins>&lt;2&gt;</ins>" in both.text
    assert visitor.get("/prompts/nothing").status_code == 404


def test_the_first_page_leads_to_what_needs_somebody_in_both_languages(
    room: SimpleNamespace,
) -> None:
    with room.world.db.write() as session:
        campaigns.update_state(session, room.number, stage="approve", state="waiting")
    page = room.visitor.get("/")
    assert f'href="/studio/campaigns/{room.number}"' in page.text
    assert "240" in said(page)
    assert "prompt subject/" in said(page)
    room.visitor.client.headers["Accept-Language"] = "ro"
    romanian = room.visitor.get("/")
    assert 'lang="ro"' in romanian.text
    assert "textele așteaptă aprobarea" in said(romanian)
    for path in ("/results", f"/results/{room.number}", "/segments", "/prompts"):
        assert room.visitor.get(path).status_code == 200
