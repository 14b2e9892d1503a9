"""`pigeonry hold`: why nothing is sent, and an operator's word that it may leave again."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from pigeonry.cli.common import Output, command_body


@click.group()
def hold() -> None:
    """See why nothing is sent, stop everything, or let mail leave again."""


@hold.command("show")
@command_body
def show_command(output: Output) -> int:
    """Say whether mail may leave: a restored or copied database and a clock that jumped hold everything."""
    from pigeonry.service import holding

    home, database = output.open()
    found = holding.look(database, home, now=datetime.now(UTC))
    if found is None:
        output.say("no hold: mail may leave")
    else:
        output.say(f"on hold since {found.since:%Y-%m-%d %H:%M:%S} UTC: {found.reason}")
        output.say(
            "\nlook whether another copy of this installation is sending, whether the clock is right, and "
            "what was sent\nsince the backup was made; then `pigeonry hold confirm`"
        )
    output.result(
        {
            "hold": found is not None,
            "reason": found.reason if found else "",
            "since": found.since if found else None,
        }
    )
    return 3 if found else 0


@hold.command("set")
@click.option("--reason", required=True, help="Shown to everybody who wonders why nothing leaves.")
@command_body
def set_command(output: Output, reason: str) -> None:
    """Stop all sending from this database at once, whatever is running."""
    from pigeonry.service import holding

    _, database = output.open()
    holding.stop(database, reason=reason, now=datetime.now(UTC))
    output.say("nothing leaves any more; `pigeonry hold confirm` lets mail leave again")
    output.result({"hold": True, "reason": reason})


@hold.command("confirm")
@click.option("--by", default="command line", show_default=True, help="Who has looked.")
@click.option(
    "--send-planned/--cancel-planned",
    default=None,
    help="What becomes of messages that still wait: nothing else sent them, or something may have.",
)
@command_body
def confirm_command(output: Output, by: str, send_planned: bool | None) -> None:
    """Let mail leave again. Messages that this home's journals know as sent are settled first."""
    from pigeonry.service import holding

    home, database = output.open()
    choice = "" if send_planned is None else "send" if send_planned else "cancel"
    done = holding.confirm(database, home, by=by, now=datetime.now(UTC), planned=choice)
    output.say(f"mail may leave again; {done.lifted} holds lifted")
    if done.found:
        output.say(f"  {done.found:,} messages had left already, as this home's journals show")
    if done.erased:
        output.say(f"  {done.erased:,} people erased again: the backup still had them")
    if done.cancelled:
        output.say(f"  {done.cancelled:,} messages cancelled")
    if done.waiting:
        output.say(f"  {done.waiting:,} messages wait to be sent")
    output.result(
        {
            "lifted": done.lifted,
            "found": done.found,
            "cancelled": done.cancelled,
            "erased": done.erased,
            "waiting": done.waiting,
        }
    )
