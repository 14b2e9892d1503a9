"""`pigeonry events ingest`, `events poll`, `events pull` and `pigeonry learn`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pigeonry.cli.common import Output, command_body

if TYPE_CHECKING:
    from pigeonry.service.ingest_report import IngestReport


@click.group()
def events() -> None:
    """Take in what comes back: reports of providers, answers by mail, conversions."""


@events.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--source", required=True, help="What the file holds: sendgrid, inbound or conversions."
)
@command_body
def ingest(output: Output, file: Path, source: str) -> int:
    """Store a file of events as it is, then apply what is new. Safe to run again.

    \b
    sendgrid     a JSON array of its events, one JSON object a line, or one object
    inbound      a raw mail (.eml), or the form that SendGrid's inbound parse posts
    conversions  a CSV file, or JSON: id, email | send_key | external_id, at, value, currency, name

    Unsubscribes, complaints, hard bounces and answers that ask us to stop end all mail to that address
    at once.
    """
    from datetime import UTC, datetime

    from pigeonry.service.conversions import ingest_conversions
    from pigeonry.service.events import ingest_events

    home, db = output.open()
    now, progress = datetime.now(UTC), output.progress
    with file.open("rb") as start:
        table = source == "conversions" and not start.read(64).lstrip().startswith((b"[", b"{"))
    if table:
        report = ingest_conversions(db, home, file, now=now, progress=progress)
    else:
        body = file.read_bytes()
        report = ingest_events(db, home, body, source=source, now=now, progress=progress)
    return _say(output, report, "row" if table else "element")


@events.command()
@command_body
def poll(output: Output) -> int:
    """Fetch replies and bounces from the mailbox of `inbound.imap_host`, then apply them.

    Marks as seen what it has stored, and deletes nothing. Safe to run again; the `drain_events` flow does
    it as often as it runs.
    """
    from datetime import UTC, datetime

    from pigeonry.service.events import drain_events
    from pigeonry.service.inbound import poll as poll_mailbox

    home, db = output.open()
    now = datetime.now(UTC)
    fetched = poll_mailbox(db, home, now=now, progress=output.progress).fetched
    output.say(f"{fetched:,} mails fetched")
    report = drain_events(db, home, now=now, progress=output.progress)
    return _say(output, report, "element", fetched=fetched)


def _say(output: Output, report: IngestReport, place: str, **more: int) -> int:
    output.say(
        f"{report.received:,} events: {report.applied:,} applied, {report.duplicate:,} seen before, "
        f"{report.rejected:,} rejected"
    )
    if report.unmatched:
        output.say(f"  {report.unmatched:,} speak of nobody we know; kept without an address")
    if report.suppressed:
        output.say(f"  {report.suppressed:,} stop all mail to their address")
    if report.proven:
        output.say(f"  {report.proven:,} messages of unknown fate are now known to have left")
    if report.forgotten:
        output.say(f"  {report.forgotten:,} reports named people who were erased; that is not kept")
    for alert in report.alerts:
        output.say(f"  ATTENTION: {alert}")
    for error in report.errors[:20]:
        output.say(f"  {place} {error.position}: {error.reason}")
    output.result(
        {
            **more,
            "received": report.received,
            "duplicate": report.duplicate,
            "applied": report.applied,
            "rejected": report.rejected,
            "unmatched": report.unmatched,
            "suppressed": report.suppressed,
            "proven": report.proven,
            "forgotten": report.forgotten,
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
