"""`pigeonry events ingest`, `events pull` and `pigeonry learn`."""

from __future__ import annotations

from pathlib import Path

import click

from pigeonry.cli.common import Output, command_body


@click.group()
def events() -> None:
    """Take in what providers report."""


@events.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--source", required=True, help="Whose words the file speaks: sendgrid.")
@command_body
def ingest(output: Output, file: Path, source: str) -> int:
    """Store a file of events as it is, then apply what is new. Safe to run again.

    FILE holds a JSON array, one JSON object a line, or one object. Unsubscribes, complaints and hard
    bounces stop all mail to that address at once.
    """
    from datetime import UTC, datetime

    from pigeonry.service.events import ingest_events

    home, db = output.open()
    report = ingest_events(
        db,
        home,
        file.read_bytes(),
        source=source,
        now=datetime.now(UTC),
        progress=output.progress,
    )
    output.say(
        f"{report.received:,} events: {report.applied:,} applied, {report.duplicate:,} seen before, "
        f"{report.rejected:,} rejected"
    )
    if report.unmatched:
        output.say(f"  {report.unmatched:,} speak of no message of ours; kept without an address")
    if report.suppressed:
        output.say(f"  {report.suppressed:,} stop all mail to their address")
    if report.proven:
        output.say(f"  {report.proven:,} messages of unknown fate are now known to have left")
    for alert in report.alerts:
        output.say(f"  ATTENTION: {alert}")
    for error in report.errors[:20]:
        output.say(f"  element {error.position}: {error.reason}")
    output.result(
        {
            "received": report.received,
            "duplicate": report.duplicate,
            "applied": report.applied,
            "rejected": report.rejected,
            "unmatched": report.unmatched,
            "suppressed": report.suppressed,
            "proven": report.proven,
            "alerts": report.alerts,
            "errors": report.errors,
        }
    )
    return 1 if report.rejected else 0


@events.command()
@command_body
def pull(output: Output) -> int:
    """Read SendGrid's lists of bounces, blocks, invalid addresses, complaints and unsubscribes.

    Takes in what was added since the last time, in case its webhook failed to tell. Safe to run again; the
    `drain_events` flow does it once a day. A block stops nobody.
    """
    from datetime import UTC, datetime

    from pigeonry.service.pull import pull_stops

    home, db = output.open()
    report = pull_stops(db, home, now=datetime.now(UTC), progress=output.progress)
    found = report.ingested
    began = "the beginning" if report.since is None else f"{report.since:%Y-%m-%d %H:%M} UTC"
    output.say(f"since {began}:")
    for name, count in report.lists.items():
        output.say(f"  {count:,} in {name.replace('_', ' ')}")
    output.say(
        f"{found.applied:,} were new and {found.suppressed:,} of them stop all mail to their address"
    )
    for error in found.errors[:20]:
        output.say(f"  element {error.position}: {error.reason}")
    output.result(
        {
            "since": report.since,
            "lists": report.lists,
            "received": found.received,
            "duplicate": found.duplicate,
            "applied": found.applied,
            "rejected": found.rejected,
            "suppressed": found.suppressed,
        }
    )
    return 1 if found.rejected else 0


@click.command()
@command_body
def learn(output: Output) -> None:
    """Turn events into beliefs for the next campaign, and say what drifted."""
    from datetime import UTC, datetime

    from pigeonry.service.events import drain_events
    from pigeonry.service.learning import learn as learn_now

    home, db = output.open()
    now = datetime.now(UTC)
    drain_events(db, home, now=now, progress=output.progress)
    report = learn_now(db, home, now=now, progress=output.progress)
    for line in report.lines():
        output.say(line)
    output.result(report.to_json())
