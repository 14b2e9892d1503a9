"""`pigeonry crm status`, `crm test` and `crm drain`."""

from __future__ import annotations

from pathlib import Path

import click

from pigeonry.cli.common import Output, command_body


@click.group()
def crm() -> None:
    """See what CRMs tell of their contacts, and take it in."""


@crm.command()
@command_body
def status(output: Output) -> None:
    """Say how each CRM is set up, what waits, and what was not taken and why."""
    from pigeonry.service.crm_status import overview

    home, db = output.open()
    found = overview(db, home)
    if not found.sources:
        output.say(
            "no CRM is set up; add a table [crm.NAME] to pigeonry.toml, see docs/guides/crm.md"
        )
    for one in found.sources:
        counts = one.counts
        output.say(f"{one.source}  {one.kind}  {one.address}")
        output.say(
            f"  {counts['contacts']:,} contacts, {counts['deleted']:,} deleted, {counts['merged']:,} merged; "
            f"{counts['waiting']:,} wait for a segment"
        )
        for name in one.missing:
            output.say(f"  {name} is not set")
        for kind, count in one.refused.items():
            output.say(f"  {count:,} not taken: {kind.replace('_', ' ')}")
    if found.undrained:
        output.say(f"{found.undrained:,} bodies wait to be understood")
    for refusal in found.refusals:
        lead = f", lead {refusal.lead_id}" if refusal.lead_id else ""
        output.say(f"  {refusal.at:%Y-%m-%d %H:%M} {refusal.source}: {refusal.detail}{lead}")
    output.result(
        {"sources": found.sources, "undrained": found.undrained, "refusals": found.refusals}
    )


@crm.command()
@click.argument("source")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@command_body
def test(output: Output, source: str, file: Path) -> int:
    """Say what the body of a webhook in FILE would tell of SOURCE. Stores and asks nothing."""
    from datetime import UTC, datetime

    from pigeonry.service.crm_status import try_body

    found = try_body(output.home(), source, file.read_bytes(), now=datetime.now(UTC))
    for change in found.changes:
        named = ", ".join(name for name, value in change.values.items() if value)
        merged = f" from {', '.join(change.merged)}" if change.merged else ""
        output.say(
            f"element {change.position}: {change.kind} {change.external_id}{merged} "
            f"at {datetime.fromtimestamp(change.revision / 1000, UTC):%Y-%m-%d %H:%M:%S} UTC"
            + (f" with {named}" if named else "")
        )
    for flaw in found.flaws:
        output.say(f"element {flaw.position}: not taken: {flaw.reason}")
    if found.ignored:
        output.say(
            f"{found.ignored:,} elements speak of what is no contact, or of fields not mapped"
        )
    output.result({"changes": found.changes, "flaws": found.flaws, "ignored": found.ignored})
    return 1 if found.flaws else 0


@crm.command()
@click.option("--send", is_flag=True, help="Hand over what leads that joined a campaign get.")
@command_body
def drain(output: Output, send: bool) -> int:
    """Take in what waits: update leads, find their segments, let them join the campaigns of rules.

    Without a Prefect server this does what its `intake` flow does. Safe to run again and beside others.
    """
    from datetime import UTC, datetime

    from pigeonry.service.crm import drain_crm
    from pigeonry.service.crm_follow import follow_crm
    from pigeonry.service.sending import send_campaign

    home, db = output.open()
    now = datetime.now(UTC)
    report = drain_crm(db, home, now=now, progress=output.progress)
    counts = report.counts()
    output.say(
        ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "nothing new"
    )
    if report.trouble:
        output.say(f"some news waits: {report.trouble}")
    for flaw in report.errors[:20]:
        output.say(f"  element {flaw.position}: {flaw.reason}")
    followed = follow_crm(db, home, now=now, progress=output.progress)
    output.say(f"{followed.leads:,} leads looked at, {followed.placed:,} have a segment now")
    for what, count in followed.joined.items():
        output.say(f"  {count:,} {what}")
    sent = 0
    for campaign_id in followed.to_send if send else ():
        sent += send_campaign(
            db, home, campaign_id, now=lambda: datetime.now(UTC), patience=0
        ).handed_over
    if followed.to_send and not send:
        output.say(f"mail waits in campaigns {followed.to_send}: run it with --send")
    joined = {str(what): count for what, count in followed.joined.items()}
    output.result(
        {
            **counts,
            "placed": followed.placed,
            "joined": joined,
            "to_send": followed.to_send,
            "handed_over": sent,
        }
    )
    return 1 if report.rejected or report.waiting else 0
