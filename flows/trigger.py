"""Starts deployments by name: now, or at a time. The one way in for whoever is not Prefect."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.deployments import run_deployment

from flows.tasks import opened

Value = str | int | bool | list[str]

RETRY_AFTER = timedelta(minutes=10)  # quiet hours, a throttle or a dead sender's lease: look again


def start(
    deployment: str,
    parameters: Mapping[str, Value],
    *,
    at: datetime | None = None,
    key: str | None = None,
) -> str:
    """Start `flow/deployment` and return the run's id without waiting for it.

    Two calls with the same `key` start one run.
    """
    run = run_deployment(  # a coroutine only inside an event loop, where our flows never are
        deployment,
        parameters=dict(parameters),
        scheduled_time=at,
        timeout=0,
        as_subflow=False,
        idempotency_key=key,
    )
    assert isinstance(run, FlowRun)
    return str(run.id)


def go_on_later(campaign_id: int, home: str, until: str) -> None:
    """Plan another run of this deployment for when the campaign may go on. Does nothing for a run
    that is no deployment's: its caller sees that the campaign waits."""
    from pigeonry.service import campaigns

    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        return
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment(context.flow_run.deployment_id)
    with opened(home) as (db, _):
        ripe = campaigns.view(db, campaign_id).wait_until
    now = datetime.now(UTC)
    at = ripe if ripe is not None and ripe > now else now + RETRY_AFTER
    start(
        f"campaign/{deployment.name}",
        {"campaign_id": campaign_id, "home": home, "send": True, "until": until},
        at=at,
        key=f"campaign-{campaign_id}-{at:%Y%m%dT%H%M}",
    )


def crm_later(home: str) -> None:
    """Plan another run for leads of CRMs whose mail had to wait; one each ten minutes is enough."""
    context = FlowRunContext.get()
    if context is None or context.flow_run is None or context.flow_run.deployment_id is None:
        return
    at = datetime.now(UTC) + RETRY_AFTER
    number = int(at.timestamp()) // int(RETRY_AFTER.total_seconds())
    start("intake/crm", {"home": home, "crm": 1}, at=at, key=f"crm-later-{number}")


def dated(occurrence: str) -> str:
    """Fill date fields (%G-W%V, %Y-%m-%d ...) from the time for which this run was scheduled, so that
    a run that is late or tried again keeps its name."""
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    at = (run.expected_start_time if run else None) or datetime.now(UTC)
    return at.strftime(occurrence) if "%" in occurrence else occurrence
