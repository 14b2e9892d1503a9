"""Names for the runs of a repeated brief, and starting deployments."""

from __future__ import annotations

from datetime import UTC, datetime


def test_an_occurrence_without_date_fields_is_kept_as_it_is() -> None:
    from flows.trigger import dated

    assert dated("spring sale") == "spring sale"


def test_an_occurrence_is_dated_by_the_time_for_which_the_run_was_planned() -> None:
    from prefect import flow
    from prefect.context import FlowRunContext

    from flows.trigger import dated

    @flow
    def run() -> tuple[str, datetime]:
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        assert context.flow_run.expected_start_time is not None
        return dated("%G-W%V"), context.flow_run.expected_start_time

    name, planned = run()

    assert name == planned.strftime("%G-W%V")
    assert abs(planned - datetime.now(UTC)).total_seconds() < 60


def test_a_run_that_is_no_deployment_s_plans_no_other(monkeypatch) -> None:
    from prefect import flow

    from flows import trigger

    started: list[str] = []
    monkeypatch.setattr(trigger, "start", lambda name, *_args, **_kwargs: started.append(name))

    @flow
    def run() -> None:
        trigger.go_on_later(1, "", "")

    run()
    assert not started
