"""The tasks that flows share: each is one service call that may run twice, with its retry policy.

Parameters and results are shown in Prefect's UI, so they are ids and counts, never leads or mail text.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger, task
from prefect.client.schemas.objects import State, TaskRun
from prefect.settings import get_current_settings
from prefect.tasks import Task

from pigeonry.config import Home, load_home
from pigeonry.domain.progress import Progress
from pigeonry.errors import BadInput, OutsideFailure, WrongUse
from pigeonry.service.homes import open_database
from pigeonry.store.session import Database

get_current_settings().home.mkdir(parents=True, exist_ok=True)

P = ParamSpec("P")
R = TypeVar("R")

Counts = dict[str, int]


@contextmanager
def opened(home: str) -> Iterator[tuple[Database, Home]]:
    """The home and its database, closed again at the end. An empty name is the default home."""
    found = load_home(Path(home) if home else None)
    db = open_database(found)
    try:
        yield db, found
    finally:
        db.dispose()


def clock(as_of: str) -> Callable[[], datetime]:
    """The time now; with `as_of` (ISO 8601 with zone) a clock that was set to that when it was made."""
    if not as_of:
        return lambda: datetime.now(UTC)
    try:
        start = datetime.fromisoformat(as_of).astimezone(UTC)
    except ValueError as error:
        raise WrongUse(str(error), where="as_of", fix="write 2026-01-31T09:00:00+00:00") from error
    began = time.monotonic()
    return lambda: start + timedelta(seconds=time.monotonic() - began)


def logged() -> Progress:
    """Progress as log lines of the run, at most one each ten seconds."""
    logger = get_run_logger()
    last = time.monotonic()

    def say(label: str, done: int, total: int | None = None) -> None:
        nonlocal last
        if time.monotonic() - last >= 10:
            last = time.monotonic()
            logger.info("%s: %d%s", label, done, f" of {total}" if total else "")

    return say


def transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether the same call may succeed later: the vendor's door has decided that, nobody guesses."""
    try:
        state.result()
    except OutsideFailure as error:
        return error.transient
    except Exception:
        return False
    return False


def service_task(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task with the retry policy of all service calls."""
    return task(name=name, retries=3, retry_delay_seconds=[2, 20, 90], retry_condition_fn=transient)


@service_task("create campaign")
def create_campaign(brief: str, occurrence: str, home: str, as_of: str) -> int:
    """The campaign of the brief in this file; an existing one of the same name and occurrence."""
    from pigeonry.service import campaigns

    try:
        text = Path(brief).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"cannot read the brief: {error}",
            where=brief or "brief",
            fix="give `brief` the path of a TOML file in UTF-8, or `campaign_id` a number",
        ) from error
    with opened(home) as (db, found):
        return campaigns.create_campaign(
            db, found, text, where=brief, occurrence=occurrence, now=clock(as_of)()
        )


@service_task("stage")
def run_stage(campaign_id: int, home: str, send: bool, approve_as: str, as_of: str) -> str:
    """Run the campaign's next stage. Returns its name, or "" when it has to wait."""
    from pigeonry.service import campaigns

    with opened(home) as (db, found):
        return campaigns.run_stage(
            db,
            found,
            campaign_id,
            clock=clock(as_of),
            progress=logged(),
            approve_as=approve_as,
            send=send,
        ).done


@service_task("refresh segments")
def refresh_segments(home: str, as_of: str) -> Counts:
    """Embed what changed, fit and name segments."""
    from pigeonry.service.segments import refresh_segments

    with opened(home) as (db, found):
        report = refresh_segments(db, found, now=clock(as_of)(), progress=logged())
    return {
        "segments": len(report.segments),
        "moved": report.moved,
        "assigned": report.assigned,
        "embedded": report.embedded,
        "reused": report.reused,
    }


@service_task("pull stops")
def pull_stops(home: str, as_of: str) -> Counts:
    """Ask the provider for bounces, complaints and unsubscribes, where a day has passed."""
    from pigeonry.service.pull import is_due, pull_stops

    with opened(home) as (db, found):
        now = clock(as_of)()
        if not is_due(db, found, now=now):
            return {}
        report = pull_stops(db, found, now=now, progress=logged())
    return {**report.lists, "applied": report.ingested.applied}


@service_task("poll mailbox")
def poll_mailbox(home: str, as_of: str) -> Counts:
    """Fetch replies and bounces, where a mailbox is set."""
    from pigeonry.service.inbound import poll

    with opened(home) as (db, found):
        if not found.settings.inbound.imap_host:
            return {}
        report = poll(db, found, now=clock(as_of)(), progress=logged())
    return {"fetched": report.fetched}


@service_task("drain events")
def drain_events(home: str, as_of: str) -> Counts:
    """Understand the raw events that are waiting."""
    from pigeonry.service.events import drain_events

    with opened(home) as (db, found):
        report = drain_events(db, found, now=clock(as_of)(), progress=logged())
    for alert in report.alerts:
        get_run_logger().warning(alert)
    return {
        "received": report.received,
        "duplicate": report.duplicate,
        "applied": report.applied,
        "rejected": report.rejected,
    }


@service_task("apply news of CRMs")
def apply_crm(home: str, as_of: str) -> Counts:
    """Understand what CRMs told; what a CRM has to be asked for may wait."""
    from pigeonry.service.crm import drain_crm

    with opened(home) as (db, found):
        report = drain_crm(db, found, now=clock(as_of)(), progress=logged())
    if report.trouble:
        get_run_logger().warning("some news waits: %s", report.trouble)
    return report.counts()


@service_task("place and start")
def follow_crm(home: str, as_of: str) -> list[int]:
    """Find the segments of leads that a CRM changed and let them join what rules name; returns campaigns
    that have mail to send."""
    from pigeonry.service.crm_follow import follow_crm

    with opened(home) as (db, found):
        report = follow_crm(db, found, now=clock(as_of)(), progress=logged())
    joined = ", ".join(f"{count} {what}" for what, count in sorted(report.joined.items()))
    get_run_logger().info(
        "%d leads, %d placed; %s", report.leads, report.placed, joined or "no rule"
    )
    return report.to_send


@service_task("send to who joined")
def send_joined(campaign_id: int, home: str, as_of: str) -> int:
    """Send what the campaign has planned; returns how many mails wait all the same."""
    from pigeonry.service.sending import send_campaign

    with opened(home) as (db, found):
        return send_campaign(
            db, found, campaign_id, now=clock(as_of), progress=logged(), patience=0
        ).waiting


@service_task("send opt-in mails")
def send_opt_in_mails(home: str, as_of: str) -> Counts:
    """Hand over the confirmation mails that people asked for, each at most once."""
    from pigeonry.service.opt_in_mails import send_opt_in_mails

    with opened(home) as (db, found):
        report = send_opt_in_mails(db, found, now=clock(as_of)())
    if report.trouble:
        get_run_logger().warning("confirmation mails wait: %s", report.trouble)
    return {
        "sent": report.sent,
        "failed": report.failed,
        "unknown": report.unknown,
        "waiting": report.waiting,
    }


@service_task("retain")
def retain(home: str, as_of: str) -> Counts:
    """Take away what is older than the settings say."""
    from pigeonry.service.privacy import retain

    with opened(home) as (db, found):
        report = retain(db, found, now=clock(as_of)(), dry_run=False, progress=logged())
    return report.gone


@service_task("learn")
def learn(home: str, as_of: str) -> Counts:
    """Turn ripe outcomes into beliefs."""
    from pigeonry.service.learning import learn

    with opened(home) as (db, found):
        report = learn(db, found, now=clock(as_of)(), progress=logged())
    return {"updated": report.updated, "refit": int(report.refit)}


@service_task("import leads")
def import_leads(path: str, consent: str, mapping: list[str], home: str, as_of: str) -> Counts:
    """Import a CSV file; `consent` is BASIS:SOURCE or "", `mapping` holds COLUMN=FIELD pairs."""
    from pigeonry.service.leads import import_leads, parse_claim, parse_mapping

    with opened(home) as (db, found):
        report = import_leads(
            db,
            found,
            Path(path),
            mapping=parse_mapping(mapping),
            consent=parse_claim(consent) if consent else None,
            dry_run=False,
            encoding=None,
            delimiter=None,
            now=clock(as_of)(),
            progress=logged(),
        )
    return {
        "rows": report.rows,
        "created": report.created,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "rejected": report.rejected,
        "suppressed": report.suppressed,
    }
