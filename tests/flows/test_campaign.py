"""The flows as Prefect runs them, without a worker."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pigeonry.config import Home
from pigeonry.errors import BadInput, Refused
from pigeonry.service import campaigns
from pigeonry.store import campaigns as store
from pigeonry.store.session import Database

BRIEF = str(Path(__file__).resolve().parents[2] / "examples" / "briefs" / "course-provider.toml")
pytestmark = pytest.mark.usefixtures("quiet_models")


@pytest.fixture
def imported(home: Home, leads_file: Path) -> Home:
    from flows.intake import intake

    counts = intake(path=str(leads_file), consent="express:test", home=str(home.path))
    assert counts["created"] == 60
    return home


def artifact(key: str) -> str:
    from prefect.client.orchestration import get_client

    with get_client(sync_client=True) as client:
        found = client.request("POST", "/artifacts/latest/filter", json={}).json()
    return str({row["key"]: row["data"] for row in found}[key])


def test_intake_segments_every_lead_it_brought(imported: Home, database: Database) -> None:
    from pigeonry.service.segments import list_segments

    assert sum(segment.size for segment in list_segments(database)) == 60


def test_a_campaign_without_send_writes_and_stops_before_the_lots(
    imported: Home, database: Database
) -> None:
    from flows.campaign import campaign

    stood = campaign(brief=BRIEF, home=str(imported.path), approve=True)

    assert (stood["stage"], stood["planned"], stood["sent"]) == ("assign_test", 0, 0)
    assert campaigns.view(database, int(stood["campaign"])).variants


def test_a_campaign_runs_to_its_end_and_leaves_its_tables(imported: Home) -> None:
    from flows.campaign import campaign

    stood = campaign(brief=BRIEF, home=str(imported.path), send=True, approve=True)
    again = campaign(campaign_id=int(stood["campaign"]), home=str(imported.path), send=True)

    assert stood["stage"] == "done"
    assert stood["sent"] == len(list(imported.outbox.rglob("*.eml"))) > 0
    assert again == stood
    number = stood["campaign"]
    assert "| **Subject** |" in artifact(f"campaign-{number}-variants")
    assert (
        sum(row["sent"] for row in json.loads(artifact(f"campaign-{number}-results")))
        == stood["sent"]
    )
    assert "@example.com" not in artifact(f"campaign-{number}-results")


def test_a_run_pauses_for_approval_and_goes_on_when_it_is_given_in_the_database(
    imported: Home, database: Database
) -> None:
    from flows.campaign import campaign

    def approve_when_it_waits() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with database.read() as session:
                waits = [row.id for row in store.every(session) if row.state == "waiting"]
            if waits:
                campaigns.approve(database, waits[0], by="a colleague", now=datetime.now(UTC))
                return
            time.sleep(0.2)

    colleague = threading.Thread(target=approve_when_it_waits)
    colleague.start()
    stood = campaign(brief=BRIEF, home=str(imported.path), send=True, until="assign_test")
    colleague.join()

    assert stood["planned"] != 0
    assert campaigns.view(database, 1).approved_by == "a colleague"


def test_without_a_server_nobody_can_be_asked_so_the_run_is_refused(home: Home) -> None:
    from flows.approval import wait_for_approval

    with pytest.raises(Refused, match="pigeonry campaign approve 7"):
        wait_for_approval(7, str(home.path))


def test_a_brief_that_is_not_there_is_said_with_its_path(home: Home) -> None:
    from flows.campaign import campaign

    with pytest.raises(BadInput, match=r"nowhere\.toml"):
        campaign(brief="nowhere.toml", home=str(home.path))
