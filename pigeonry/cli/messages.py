"""`pigeonry messages`: those that nobody can know about, and a person's word on them."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from pigeonry.cli.common import Output, command_body


@click.group()
def messages() -> None:
    """Look at parked messages and resolve them."""


@messages.command("parked")
@click.option("--campaign", type=int, help="Only this campaign's.")
@command_body
def parked_command(output: Output, campaign: int | None) -> None:
    """List messages that may or may not have been accepted, after looking for evidence."""
    from pigeonry.service.sending import parked

    home, database = output.open()
    found = parked(database, home, campaign_id=campaign, now=datetime.now(UTC))
    for row in found:
        output.say(
            f"{row.id:>8}  {row.state:<8} {row.email}  {row.campaign} ({row.campaign_id})  "
            f"{row.channel}  {row.handover_at:%Y-%m-%d %H:%M:%S}  {row.reason}"
            if row.handover_at
            else f"{row.id:>8}  {row.state:<8} {row.email}  {row.campaign}  {row.reason}"
        )
    if not found:
        output.say("nothing is parked: every message's outcome is known")
    else:
        output.say(
            "\nlook for the X-Pigeonry-Key in the relay's log, then run "
            "`pigeonry messages resolve ID --sent` or `--not-sent`"
        )
    output.result(
        {
            "parked": [
                {
                    "id": row.id,
                    "campaign": row.campaign_id,
                    "email": row.email,
                    "state": row.state,
                    "channel": row.channel,
                    "reason": row.reason,
                    "send_key": row.send_key,
                    "handover_at": row.handover_at,
                }
                for row in found
            ]
        }
    )


@messages.command("resolve")
@click.argument("message_id", metavar="ID", type=int)
@click.option("--sent/--not-sent", default=None, help="Was it sent? --not-sent plans it again.")
@command_body
def resolve_command(output: Output, message_id: int, sent: bool | None) -> None:
    """Say what became of a parked or unknown message."""
    from pigeonry.service.uncertain import resolve

    if sent is None:
        raise click.UsageError("say --sent or --not-sent")
    _, database = output.open()
    runs_again = resolve(database, message_id, sent, now=datetime.now(UTC))
    state = "accepted" if sent else "planned"
    output.say(f"message {message_id} is now {state}")
    if runs_again:
        output.say("  -> its campaign was done: run it again with --send, and this one leaves")
    output.result({"message": message_id, "state": state})
