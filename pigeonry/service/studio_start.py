"""Starts a campaign's run: by Prefect where its server answers and a worker stands ready, else as a job of our
own. Which of the two it is decides nothing about safety: the stages and the sender are the same.

Prefect is asked over plain HTTP and gets only ids.
"""

from __future__ import annotations

import base64
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pigeonry.config import Home
from pigeonry.errors import OutsideFailure
from pigeonry.service import jobs
from pigeonry.service.briefs import load
from pigeonry.service.stages import STAGES
from pigeonry.service.studio_refusals import StudioRefused
from pigeonry.store import acts, leads
from pigeonry.store import campaigns as campaign_store
from pigeonry.store.acts import Action
from pigeonry.store.session import Database

KIND = "campaign"
DEPLOYMENT = ("campaign", "campaign")  # flow, deployment: as in prefect.yaml
WRITTEN = "score"  # the last stage before a person is asked
_SECONDS = 3.0  # somebody waits for the page
_AGAIN = timedelta(minutes=10)  # quiet hours, a throttle or a dead sender's lease: look again
_GOES_ON = ("send_test", "ripen", "assign_rest", "send_rest", "finish")


@dataclass(frozen=True, slots=True)
class Started:
    """`how` is "prefect" or "job"; `run` the id of the flow run or the job. `at`: when it will begin."""

    how: str
    run: str
    at: datetime | None = None


def people(db: Database, campaign_id: int, *, now: datetime) -> int:
    """How many people the campaign's mails are for, the holdout among them: what a person has to type."""
    _, brief = load(db, campaign_id)
    with db.read() as session:
        return leads.count_mailable(session, countries=brief.countries, topic=brief.topic, now=now)


def confirm(home: Home, typed: str, *, shown: int, now_there: int) -> None:
    """Raises Refused unless the number that was `shown` was typed, and it is still about true."""
    if max(shown, now_there) <= home.settings.sending.confirm_above:
        return
    if now_there > shown + max(10, shown // 50):
        raise StudioRefused(
            "people_changed",
            f"meanwhile it is {now_there} people, not {shown}",
            where="people",
            fix="look at the number again and type it",
            n=now_there,
        )
    if "".join(typed.split()).replace(".", "").replace(",", "") != str(shown):
        raise StudioRefused(
            "people_typed",
            f"the number of people was not typed: {shown}",
            where="people",
            fix=f"type {shown}",
            people=str(shown),
        )


def write(
    db: Database, home: Home, campaign_id: int, *, by: str, now: datetime,
    env: Mapping[str, str] = os.environ,
) -> Started:  # fmt: skip
    """Start segments, prompts, texts and scores, up to where a person is asked. Sends nothing."""
    return _start(db, home, campaign_id, by=by, now=now, send=False, env=env)


def send(
    db: Database,
    home: Home,
    campaign_id: int,
    *,
    by: str,
    now: datetime,
    at: datetime | None = None,
    env: Mapping[str, str] = os.environ,
) -> Started:
    """Start sending what is approved, now or `at` a time. Raises Refused while it is not approved; a time
    needs Prefect."""
    with db.read() as session:
        row = campaign_store.get(session, campaign_id)
    if row.approved_at is None:
        raise StudioRefused(
            "not_approved",
            "nobody has approved its texts",
            where=f"campaign {campaign_id}",
            fix="approve them first",
        )
    if at is not None and at <= now:
        raise StudioRefused(
            "time_over", f"{at:%Y-%m-%d %H:%M} UTC is over", where="at", fix="name a later time"
        )
    return _start(db, home, campaign_id, by=by, now=now, send=True, at=at, env=env)


def go_on_due(db: Database, home: Home, *, now: datetime) -> list[int]:
    """Start a job again for each campaign that a job left waiting (quiet hours, ripening) and that may go on
    now. Prefect plans its own next runs. Call it every few seconds from whatever stands."""
    with db.read() as session:
        waiting = [
            row
            for row in campaign_store.in_state(session, "waiting")
            if row.stage in _GOES_ON and not (row.stage == "ripen" and _unripe(row.wait_until, now))
        ]
    begun = []
    for row in waiting:
        last = next(iter(jobs.listed(db, subject=_subject(row.id), limit=1)), None)
        if last is None or last.open or not last.payload.get("send") or last.finished_at is None:
            continue
        ripe = row.stage == "ripen" and row.wait_until is not None
        if now - last.finished_at >= _AGAIN or (
            ripe and last.finished_at < (row.wait_until or now)
        ):
            _job(db, home, row.id, send=True, by=last.asked_by, now=now)
            begun.append(row.id)
    return begun


def _unripe(until: datetime | None, now: datetime) -> bool:
    return until is not None and until > now


def _start(
    db: Database,
    home: Home,
    campaign_id: int,
    *,
    by: str,
    now: datetime,
    send: bool,
    env: Mapping[str, str],
    at: datetime | None = None,
) -> Started:
    with db.read() as session:
        row = campaign_store.get(session, campaign_id)
    if row.state in ("done", "cancelled", "paused"):
        raise StudioRefused(
            f"is_{row.state}",
            f"it is {row.state}",
            where=f"campaign {campaign_id}",
            fix="resume it first" if row.state == "paused" else "copy its brief and start anew",
        )
    deployment = _deployment(home, env)
    if deployment:
        key = f"studio-{campaign_id}-{row.stage}-{(at or now):%Y%m%dT%H%M}"
        run = _flow_run(home, env, deployment, campaign_id, send=send, at=at, key=key)
        started = Started("prefect", run, at)
    elif at is not None:
        raise StudioRefused(
            "no_prefect",
            "no Prefect server and worker stand ready to start it at that time",
            where=f"campaign {campaign_id}",
            fix="run `pigeonry serve`, or start it now",
        )
    else:
        started = Started("job", str(_job(db, home, campaign_id, send=send, by=by, now=now)))
    with db.write() as session:
        acts.add(
            session, campaign_id, Action.STARTED, by=by, at=now,
            detail={"how": started.how, "run": started.run, "send": send,
                    "at": at.isoformat() if at else ""},
        )  # fmt: skip
    return started


def _job(db: Database, home: Home, campaign_id: int, *, send: bool, by: str, now: datetime) -> int:
    payload: dict[str, int | str] = {"campaign_id": campaign_id, "send": int(send)}
    if not send:
        payload["until"] = WRITTEN
    job = jobs.ask(db, home, KIND, payload, subject=_subject(campaign_id), by=by, now=now)
    if send and not job.payload.get("send"):
        raise StudioRefused(
            "still_writing",
            "its texts are still being written",
            where=f"campaign {campaign_id}",
            fix="wait until that has ended, then start sending",
        )
    return job.id


def _subject(campaign_id: int) -> str:
    return f"campaign {campaign_id}"


def _api(home: Home, env: Mapping[str, str]) -> str:
    prefect = home.settings.prefect
    return env.get("PREFECT_API_URL") or f"http://{prefect.host}:{prefect.port}/api"


def _deployment(home: Home, env: Mapping[str, str]) -> str:
    """The id of the campaign deployment, "" when no server answers or no worker polls for its runs."""
    try:
        found = _ask(home, env, "GET", f"/deployments/name/{'/'.join(DEPLOYMENT)}")
    except (OutsideFailure, ValueError):
        return ""
    return str(found["id"]) if found.get("status") == "READY" and "id" in found else ""


def _flow_run(
    home: Home,
    env: Mapping[str, str],
    deployment: str,
    campaign_id: int,
    *,
    send: bool,
    at: datetime | None,
    key: str,
) -> str:
    """A run of it; two calls with the same key make one."""
    parameters: dict[str, Any] = {
        "campaign_id": campaign_id,
        "home": str(home.path),
        "send": send,
        "until": "" if send else WRITTEN,
    }
    body: dict[str, Any] = {"parameters": parameters, "idempotency_key": key}
    details = {"scheduled_time": at.astimezone(UTC).isoformat()} if at else {}
    body["state"] = {"type": "SCHEDULED", "name": "Scheduled", "state_details": details}
    made = _ask(home, env, "POST", f"/deployments/{deployment}/create_flow_run", body)
    return str(made.get("id", ""))


def _ask(
    home: Home,
    env: Mapping[str, str],
    method: str,
    path: str,
    body: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    url = _api(home, env) + path
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(url)
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if login := env.get("PREFECT_API_AUTH_STRING"):
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310
            found = json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise OutsideFailure(
            f"the Prefect server answered {error.code}",
            where=path,
            fix="look at its log, then start the campaign again",
            transient=error.code >= 500,
        ) from error
    except OSError as error:
        raise OutsideFailure(
            "the Prefect server does not answer",
            where=path,
            fix="start the campaign again",
            transient=True,
        ) from error
    return dict(found) if isinstance(found, dict) else {}


def before_sending(stage: str) -> bool:
    """Whether lots are still to be drawn: then a start is the moment for the typed number."""
    return stage in STAGES and STAGES.index(stage) <= STAGES.index("assign_test")
