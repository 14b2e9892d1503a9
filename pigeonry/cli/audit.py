"""`pigeonry audit`: who did what, and whether that record is whole."""

from __future__ import annotations

import click

from pigeonry.cli.common import Output, command_body


@click.group()
def audit() -> None:
    """Read the audit trail, and check that nobody changed it."""


@audit.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@click.option("--action", default="", help="Only this kind, e.g. sign_in.failed.")
@command_body
def list_command(output: Output, limit: int, action: str) -> None:
    """List what was done, latest first. People stand there by number: see `pigeonry operators list`."""
    from pigeonry.service import audit

    _, database = output.open()
    found = audit.newest(database, limit=limit, action=action)
    for entry in found:
        detail = " ".join(f"{name}={value}" for name, value in entry.detail.items())
        output.say(
            f"{entry.id:>7}  {entry.at:%Y-%m-%d %H:%M:%S}  {entry.actor:<14} {entry.action:<24} "
            f"{entry.subject:<20} {detail}".rstrip()
        )
    output.result({"entries": found})


@audit.command("verify")
@click.option("--expect", default="", help="A hash noted earlier, which has to be in the trail.")
@command_body
def verify_command(output: Output, expect: str) -> int:
    """Check every entry against the one before it. Exit code 3 when one was changed or taken out.

    Note the last hash somewhere else and give it with --expect later: without it, nobody can tell whether
    the newest entries were cut off.
    """
    from pigeonry.service import audit

    home, database = output.open()
    found = audit.verify(database, home, expected=expect)
    if found.whole:
        output.say(f"{found.entries:,} entries, whole; the last hash is {found.last_hash}")
    else:
        output.say(f"NOT WHOLE at entry {found.broken_at}: {found.why}")
    output.result(
        {
            "whole": found.whole,
            "entries": found.entries,
            "last_hash": found.last_hash,
            "broken_at": found.broken_at,
            "why": found.why,
        }
    )
    return 0 if found.whole else 3
