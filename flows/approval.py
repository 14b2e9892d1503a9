"""Asks a person before the first mail leaves: in Prefect's UI or on our side, whichever comes first."""

from __future__ import annotations

import logging
import threading
from uuid import UUID

import httpx
from prefect import get_run_logger
from prefect.client.orchestration import get_client
from prefect.context import FlowRunContext
from prefect.flow_runs import pause_flow_run
from prefect.input import RunInput
from prefect.settings import get_current_settings
from pydantic import Field

from flows.tasks import opened
from pigeonry.errors import OutsideFailure, Refused

WEEK = 7 * 24 * 3600  # seconds; a run that nobody answers fails then, and the campaign still waits
POLL = 3  # seconds between two looks


class Approval(RunInput):
    """What the form in Prefect's UI asks for."""

    approve: bool = Field(description="Send these variants as they are")
    by: str = Field(description="Who decides")


def next_stage(campaign_id: int, home: str) -> str:
    """The stage that comes now; "" when nothing may run: done, paused or cancelled."""
    from pigeonry.service import campaigns

    with opened(home) as (db, _):
        view = campaigns.view(db, campaign_id)
    return "" if view.state in ("done", "paused", "cancelled") else view.stage


def approver(campaign_id: int, home: str) -> str:
    """Who approved the campaign in the database, or ""."""
    from pigeonry.service import campaigns

    with opened(home) as (db, _):
        return campaigns.view(db, campaign_id).approved_by


def wait_for_approval(campaign_id: int, home: str) -> str:
    """Pause the run until somebody approves, and say who. Raises Refused when somebody declines, and
    at once where no server stands that could ask."""
    fix = f"`pigeonry campaign approve {campaign_id}`, then run it again"
    context = FlowRunContext.get()
    if get_current_settings().api.url is None or context is None or context.flow_run is None:
        raise Refused(
            "the variants are written and wait for approval; nothing was sent",
            where=f"campaign {campaign_id}",
            fix=fix,
        )
    answered = threading.Event()
    watch = threading.Thread(
        target=_resume_when_approved,
        args=(campaign_id, home, context.flow_run.id, answered),
        daemon=True,
    )
    watch.start()
    try:
        answer = pause_flow_run(wait_for_input=Approval, timeout=WEEK, poll_interval=POLL)
    finally:
        answered.set()
        watch.join()
    if not answer.approve:
        raise Refused(
            f"{answer.by} declined; nothing was sent", where=f"campaign {campaign_id}", fix=fix
        )
    get_run_logger().info("campaign %d is approved", campaign_id)
    return answer.by


def _resume_when_approved(
    campaign_id: int, home: str, run_id: UUID, answered: threading.Event
) -> None:
    """Answer for the person who approved by command line, again until the run has heard it."""
    while not answered.wait(POLL):
        try:
            by = approver(campaign_id, home)
            if by:
                with get_client(sync_client=True) as client:
                    state = client.read_flow_run(run_id).state
                    if state is not None and state.is_paused():
                        client.resume_flow_run(run_id, run_input={"approve": True, "by": by})
        except (httpx.HTTPError, OutsideFailure) as error:
            logging.getLogger(__name__).warning("asking again in %d s: %s", POLL, error)
