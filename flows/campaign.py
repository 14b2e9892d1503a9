"""A campaign from its brief to its last mail: one task a stage, in the order that the database keeps."""

from __future__ import annotations

from prefect import flow, get_run_logger

from flows import approval, artifacts, tasks, trigger

# Tags whose limits `pigeonry serve` sets: one sender at each provider, one writer at each model.
TAGS = {"write": ["model"], "send_test": ["provider"], "send_rest": ["provider"]}


@flow(name="campaign")
def campaign(
    campaign_id: int = 0,
    brief: str = "",
    home: str = "",
    send: bool = False,
    approve: bool = False,
    until: str = "",
    occurrence: str = "",
    as_of: str = "",
) -> dict[str, int | str]:
    """Run a campaign as far as it may go, and leave its tables as artifacts.

    Give the path of a brief, or the number of a campaign that has begun. Without `send` it writes and
    scores only. Without `approve` it waits for a person before the first mail. `until` names a stage to
    stop after. `occurrence` names this run of a repeated brief and may hold date fields such as %G-W%V.
    `as_of` sets the clock, for rehearsals. Running it again goes on where it stopped. Returns where the
    campaign stands.
    """
    dated = trigger.dated(occurrence)
    number = campaign_id or tasks.create_campaign(brief, dated, home, as_of)
    approve_as = "flow parameter" if approve else ""
    while stage := approval.next_stage(number, home):
        run = tasks.run_stage.with_options(task_run_name=stage, tags=TAGS.get(stage, []))
        done = run(number, home, send, approve_as, as_of)
        if done and done == until:
            break
        if not done and stage == "approve" and not approve_as:
            artifacts.leave_variants(number, home)
            approve_as = approval.wait_for_approval(number, home)
        elif not done:
            get_run_logger().info("campaign %d waits at %s", number, stage)
            if send:
                trigger.go_on_later(number, home, until)
            break
    return artifacts.leave(number, home, as_of)
