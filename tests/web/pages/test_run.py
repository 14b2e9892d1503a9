"""Anybody may watch a campaign go out; whoever may send stops it within a second."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from pigeonry.config import Home
from pigeonry.domain.operator import Role
from pigeonry.service import campaigns, job_work, jobs
from pigeonry.store.models import Message
from pigeonry.store.session import Database
from tests.service.studio import add_leads, small_home, written
from tests.web.console import NOW, Visitor, console, said


@pytest.fixture
def visitor(
    home: Home, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Visitor]:
    """A campaign that was approved, and waits in quiet hours."""
    monkeypatch.setattr(jobs, "start", lambda *_: 0)
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    night = small_home(home, "[sending]\nquiet_from = '08:00'\nquiet_to = '20:00'\n")
    add_leads(database, night, tmp_path, 20)
    number = written(database, night)
    campaigns.approve(database, number, by="ana", now=NOW)
    campaigns.run_campaign(database, night, number, clock=lambda: NOW, send=True)
    with console(night, database) as found:
        found.client.timeout = 60
        yield found


def test_a_run_is_watched_paused_resumed_and_settled(visitor: Visitor) -> None:
    assert "Winter course" in said(visitor.get("/run"))
    page = visitor.get("/run/1")
    assert "Quiet hours" in said(page)
    assert "Reload the page" in said(page)  # without scripts
    assert "Ore de liniște" in said(visitor.get("/run/1", headers={"Accept-Language": "ro"}))
    viewer = visitor.as_role(Role.VIEWER)
    assert "Pause" not in said(viewer.get("/run/1"))
    assert viewer.post("/run/1/pause").status_code == 403

    with visitor.client.stream("GET", "/run/1/stream") as live:
        assert live.headers["content-type"].startswith("text/event-stream")
        lines = live.iter_lines()
        assert next(lines) == "event: snapshot"
        assert visitor.post("/run/1/pause").status_code == 303
        seen = ""
        while "paused" not in seen:  # the next second's look
            seen = next(lines)
    assert campaigns.view(visitor.database, 1).state == "paused"
    assert "Paused" in said(visitor.get("/run/1"))
    assert visitor.post("/run/1/resume").status_code == 303
    job = jobs.listed(visitor.database, subject="campaign 1", limit=1)[0]
    assert job.open
    assert job.payload["send"]
    job_work.run(visitor.database, visitor.home, job.id, now=lambda: NOW)

    with visitor.database.write() as session:
        session.execute(
            update(Message).where(Message.id.in_([1, 2])).values(state="parked", handover_at=NOW)
        )
    visitor.app.state.watch.stale(1)
    parked = visitor.get("/run/1")
    assert len(re.findall(r'action="/run/1/parked/\d+"', parked.text)) == 4
    assert visitor.post("/run/1/parked/1", {"answer": "sent"}).status_code == 303
    assert visitor.post("/run/1/parked/2", {"answer": "not-sent"}).status_code == 303
    assert visitor.post("/run/1/parked/3", {"answer": "sent"}).status_code == 404
    assert visitor.post("/run/1/parked/1", {"answer": "x"}).status_code == 400
    assert campaigns.view(visitor.database, 1).sent == 1

    assert visitor.post("/run/1/go-on").status_code == 303
    assert visitor.post("/run/1/cancel").status_code == 303
    over = visitor.get("/run/1")
    assert "sse-connect" not in over.text
    again = visitor.post("/run/1/resume")
    assert again.status_code == 409
    assert visitor.get("/run/99/stream").status_code == 404
