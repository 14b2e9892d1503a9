"""`pigeonry serve` as an operator has it: a real Prefect server and process worker on loopback.

Talks to the server over its HTTP API only, so that nothing of ours is trusted to report on itself.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import pytest

from tests import crm_bodies
from tests.fakes.hubspot import TOKEN, Portal, portal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
BRIEF = "examples/briefs/course-provider.toml"  # relative: the deployment's pull step makes it mean the same
LEADS = 60
T = TypeVar("T")


@dataclass(frozen=True)
class Served:
    home: Path
    api: httpx.Client
    env: dict[str, str]
    web: str
    hubspot: Portal

    def deployment(self, name: str) -> dict[str, Any]:
        found = {d["name"]: d for d in self.post("/deployments/filter", {})}
        return found[name]

    def post(self, path: str, body: Any) -> Any:
        """Ask again while the server says 503: its SQLite was busy."""
        for _ in range(10):
            answer = self.api.post(path, json=body)
            if answer.status_code != 503:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json()

    def start(self, name: str, **parameters: Any) -> str:
        made = self.post(
            f"/deployments/{self.deployment(name)['id']}/create_flow_run",
            {"parameters": {"home": str(self.home), **parameters}},
        )
        return str(made["id"])

    def state(self, run: str) -> str:
        answer = self.post("/flow_runs/filter", {"flow_runs": {"id": {"any_": [run]}}})[0]["state"]
        if answer["type"] in ("FAILED", "CRASHED", "CANCELLED"):
            raise AssertionError(f"{answer['name']}: {answer['message']}\n{self.logs(run)}")
        return str(answer["type"])

    def logs(self, run: str) -> str:
        rows = self.post("/logs/filter", {"logs": {"flow_run_id": {"any_": [run]}}})
        return "\n".join(row["message"] for row in rows)

    def artifacts(self) -> dict[str, Any]:
        rows = self.post("/artifacts/latest/filter", {})
        return {row["key"]: row["data"] for row in rows}

    def pigeonry(self, *arguments: str) -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", "pigeonry", "--home", str(self.home), "--json", *arguments],
            capture_output=True,
            text=True,
            check=True,
            env=self.env,
            cwd=ROOT,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        assert isinstance(found, dict)
        return found


def wait_for(what: Callable[[], T], *, seconds: float, about: str) -> T:
    """The first truthy answer."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.5)
    raise AssertionError(f"not within {seconds} s: {about}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def leads(folder: Path) -> Path:
    path = folder / "leads.csv"
    rows = [
        f"person{n}@example.com,Ana,{('designer', 'accountant', 'teacher')[n % 3]},Romania"
        for n in range(LEADS)
    ]
    path.write_text("Email,First Name,Job,Country\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def left_behind(home: Path) -> list[list[str]]:
    """Command lines of processes that still work for this home."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get("PIGEONRY_HOME") == str(home):
                found.append(process.cmdline())
    return found


CRMS = """
[crm.hub]
kind = "hubspot"
api_url = "{url}"
[crm.sf]
kind = "salesforce"
[crm.pipe]
kind = "pipedrive"
"""


def crm_home(home: Path, hubspot: Portal) -> None:
    """Three CRMs and their secrets."""
    (home / "secrets").mkdir(mode=0o700, parents=True)
    (home / "pigeonry.toml").write_text(CRMS.format(url=hubspot.url))
    for name, value in {
        "crm_hub_secret": "of-the-test",
        "crm_hub_token": TOKEN,
        "crm_sf_secret": "of-the-test",
        "crm_pipe_secret": "crm:of-the-test",
    }.items():
        (home / "secrets" / name).write_text(value)
        (home / "secrets" / name).chmod(0o600)


@pytest.fixture(scope="module")
def hubspot() -> Iterator[Portal]:
    with portal() as found:
        yield found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, hubspot: Portal) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    env |= {
        "PIGEONRY_PREFECT__PORT": str(port),
        "PIGEONRY_WEB__PORT": str(free_port()),
        "PIGEONRY_EMBEDDING__BACKEND": "hashing",
        "PIGEONRY_LLM__LOCAL": "false",
        "NO_PROXY": "127.0.0.1",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
    }
    home = folder / "home"
    crm_home(home, hubspot)
    log = (folder / "log").open("w+")
    process = subprocess.Popen(
        [sys.executable, "-m", "pigeonry", "--home", str(home), "--json", "serve"],
        stdout=subprocess.PIPE,
        stderr=log,
        stdin=subprocess.DEVNULL,
        env=env,
        cwd=folder,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # printed when everything stands; "" when it ended before
        log.seek(0)
        assert line, log.read()[-5000:]
        said = json.loads(line)
        assert said["parts"] == ["web", "server", "worker"]
        assert httpx.get(f"{said['web']}/health", timeout=30, trust_env=False).status_code == 200
        with httpx.Client(base_url=said["prefect"], timeout=30, trust_env=False) as api:
            yield Served(home, api, env, said["web"], hubspot)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        log.close()
    assert not left_behind(home)


def test_every_deployment_of_prefect_yaml_stands_and_none_that_sends_is_scheduled(
    served: Served,
) -> None:
    found = served.post("/deployments/filter", {})

    assert {d["name"] for d in found} == {
        "campaign",
        "weekly",
        "refresh-audience",
        "drain-events",
        "learn",
        "intake",
        "crm",
        "privacy",
    }
    assert all(d["description"] and d["work_pool_name"] == "pigeonry" for d in found)
    sending = [d for d in found if "sends-mail" in d["tags"]]
    assert not any(schedule["active"] for d in sending for schedule in d["schedules"])


def test_the_scheduler_creates_runs_and_the_worker_does_them(served: Served) -> None:
    """Prefect 3.8.8 with SQLAlchemy 2.1 deploys and runs by hand, and never fires a schedule."""
    drain = served.deployment("drain-events")
    served.post(
        f"/deployments/{drain['id']}/schedules",
        [{"schedule": {"interval": 10}, "active": True}],
    )

    def done() -> list[Any]:
        runs = served.post(
            "/flow_runs/filter",
            {
                "deployments": {"id": {"any_": [drain["id"]]}},
                "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
            },
        )
        return [run for run in runs if run["auto_scheduled"]]

    assert wait_for(done, seconds=180, about="a scheduled run of drain-events")
    for schedule in served.api.get(f"/deployments/{drain['id']}/schedules").json():
        served.api.delete(f"/deployments/{drain['id']}/schedules/{schedule['id']}")


def test_leads_come_in_and_a_campaign_runs_to_its_end_after_a_person_approves_in_prefect(
    served: Served, tmp_path: Path
) -> None:
    intake = served.start("intake", path=str(leads(tmp_path)), consent="express:test")
    wait_for(lambda: served.state(intake) == "COMPLETED", seconds=180, about="intake")
    run = served.start("campaign", brief=BRIEF, send=True, until="send_test")
    wait_for(lambda: served.state(run) == "PAUSED", seconds=180, about="a pause for approval")
    assert "## " in served.artifacts()["campaign-1-variants"]

    wait_for(
        lambda: (
            served.post(
                f"/flow_runs/{run}/resume",
                {"run_input": {"approve": True, "by": "the test"}},
            )["status"]
            == "ACCEPT"
        ),
        seconds=20,
        about="the run takes the answer",
    )
    wait_for(lambda: served.state(run) == "COMPLETED", seconds=180, about="the campaign")

    shown = served.pigeonry("campaign", "show", "1")
    mails = list((served.home / "outbox").rglob("*.eml"))
    assert shown["sent"] == len(mails) > 0
    artifacts = served.artifacts()
    assert {"segments", "campaign-1-variants", "campaign-1-results"} <= artifacts.keys()
    results = json.loads(artifacts["campaign-1-results"])
    assert sum(row["sent"] for row in results) == shown["sent"]


def test_signed_news_of_each_crm_updates_its_lead_and_finishes_a_run(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    """Prints how long each took, from the post to the run's end."""
    now = datetime.now(UTC)
    stamp = str(round(now.timestamp() * 1000))
    event = {**crm_bodies.hubspot("creation", 17), "occurredAt": int(stamp)}
    served.hubspot.contacts["17"] = (
        {"email": "person1@example.com", "firstname": "Hub"},
        now.isoformat(),
    )
    signed = b"POSThttp://127.0.0.1:8080/hooks/crm/hub" + crm_bodies.body([event]) + stamp.encode()
    mac = hmac.digest(b"of-the-test", signed, "sha256")
    person = {"emails": [{"value": "person3@example.com"}], "first_name": "Pipe"}
    told = {
        ("Hub", "person1@example.com", "hub"): (
            crm_bodies.body([event]),
            {
                "X-HubSpot-Signature-v3": base64.b64encode(mac).decode(),
                "X-HubSpot-Request-Timestamp": stamp,
            },
        ),
        ("Force", "person2@example.com", "sf/of-the-test"): (
            crm_bodies.salesforce(
                {
                    "Id": "003A",
                    "SystemModstamp": now.isoformat(),
                    "Email": "person2@example.com",
                    "FirstName": "Force",
                }
            ),
            {},
        ),
        ("Pipe", "person3@example.com", "pipe"): (
            crm_bodies.body(
                crm_bodies.pipedrive("change", 7, data=person, timestamp=now.isoformat())
            ),
            {"Authorization": "Basic " + base64.b64encode(b"crm:of-the-test").decode()},
        ),
    }
    took = {}
    for (name, email, door), (body, headers) in told.items():
        before = runs_of_crm(served)
        began = time.monotonic()
        answer = httpx.post(
            f"{served.web}/hooks/crm/{door}", content=body, headers=headers, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        wait_for(
            lambda email=email, name=name: first_name(served, email) == name,  # type: ignore[misc]
            seconds=120,
            about=f"{email} is {name}",
        )
        wait_for(
            lambda before=before: runs_of_crm(served) - before,  # type: ignore[misc]
            seconds=120,
            about=f"a finished run for {door}",
        )
        took[name] = round(time.monotonic() - began, 1)
    with capsys.disabled():
        print(f"\nfrom a CRM's post to its finished intake run, seconds: {took}")


def runs_of_crm(served: Served) -> set[str]:
    """Finished runs of the intake flow that the web app started."""
    deployment = served.deployment("crm")["id"]
    found = served.post(
        "/flow_runs/filter",
        {
            "deployments": {"id": {"any_": [deployment]}},
            "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
        },
    )
    return {str(run["id"]) for run in found}


def first_name(served: Served, email: str) -> str:
    with contextlib.closing(sqlite3.connect(served.home / "pigeonry.db")) as connection:
        row = connection.execute("SELECT first_name FROM lead WHERE email = ?", (email,)).fetchone()
    return str(row[0]) if row else ""


def test_an_approval_on_our_side_lets_a_run_go_on_and_it_plans_the_next_for_when_the_test_is_ripe(
    served: Served, tmp_path: Path
) -> None:
    brief = tmp_path / "ripens.toml"
    brief.write_text(
        (ROOT / BRIEF).read_text().replace("[experiment]", "[experiment]\nwait_hours = 2")
    )
    run = served.start("campaign", brief=str(brief), occurrence="second", send=True)
    wait_for(lambda: served.state(run) == "PAUSED", seconds=180, about="a pause for approval")

    served.pigeonry("campaign", "approve", "2", "--by", "a colleague")

    wait_for(lambda: served.state(run) == "COMPLETED", seconds=180, about="the campaign")
    shown = served.pigeonry("campaign", "show", "2")
    assert (shown["stage"], shown["state"]) == ("ripen", "waiting")
    planned = served.post(
        "/flow_runs/filter", {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}}
    )
    (next_run,) = [r for r in planned if r["parameters"].get("campaign_id") == 2]
    starts = datetime.fromisoformat(next_run["expected_start_time"])
    assert timedelta(hours=1.9) < starts - datetime.now(UTC) <= timedelta(hours=2)


def test_a_run_may_wait_for_a_person_while_everything_is_stopped(served: Served) -> None:
    """Its process is a session of its own; the fixture asserts that it is gone in the end."""
    run = served.start("campaign", brief=BRIEF, occurrence="third", send=True)
    wait_for(lambda: served.state(run) == "PAUSED", seconds=180, about="a pause for approval")

    assert any("engine" in " ".join(command) for command in left_behind(served.home))


def test_prefect_never_sees_a_lead(served: Served) -> None:
    """Whatever Prefect keeps (parameters, results, artifacts, logs) holds no address of anybody."""
    kept = b"".join(
        path.read_bytes() for path in (served.home / "prefect").rglob("*") if path.is_file()
    )
    assert b"campaign-1-variants" in kept
    assert not re.search(rb"person[0-9]+@example", kept)
