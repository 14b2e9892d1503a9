"""`pigeonry privacy` and `pigeonry consent`: retention, the records that the law asks for, consent texts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pigeonry.cli.common import Output, command_body

if TYPE_CHECKING:
    from pigeonry.service.doors import Door

_HTML = click.option(
    "--html", "page", type=click.Path(path_type=Path, dir_okay=False), help="Write a page, too."
)


@click.group()
def privacy() -> None:
    """Keep no longer than needed, and say what is kept and what leaves."""


@privacy.command()
@click.option("--dry-run", is_flag=True, help="Count and take nothing away.")
@command_body
def retain(output: Output, dry_run: bool) -> None:
    """Take away what is older than privacy.*_days says."""
    from pigeonry.service.privacy import retain as run

    home, database = output.open()
    found = run(database, home, now=datetime.now(UTC), dry_run=dry_run, progress=output.progress)
    for kind, number in found.gone.items():
        old = f" older than {found.days[kind]} days" if found.days[kind] else ""
        output.say(f"{number:>9,}  {kind}{old}")
    output.say("nothing was taken away" if dry_run else "taken away")
    output.result({"gone": found.gone, "days": found.days, "dry_run": dry_run})


@privacy.command()
@_HTML
@command_body
def record(output: Output, page: Path | None) -> None:
    """Print the record of processing activities (GDPR article 30)."""
    from pigeonry.service.pages import record_page
    from pigeonry.service.processing_record import processing_record

    home, database = output.open()
    found = processing_record(database, home, now=datetime.now(UTC))
    output.say(f"controller: {found.controller or 'not stated'}")
    output.say(f"contact:    {found.contact or 'not stated'}")
    for title, lines in (
        ("purposes", found.purposes),
        ("whose data", found.subjects),
        ("data", [f"{item.table} ({item.rows:,}): {item.data}" for item in found.categories]),
        ("recipients", [f"{door.name}: {door.where}" for door in found.recipients]),
        ("how long", [f"{kind}: {time}" for kind, time in found.retention.items()]),
        ("security", found.measures),
        ("to be filled in", found.missing),
    ):
        if lines:
            output.say(title)
        for line in lines:
            output.say(f"  {line}")
    _write(output, page, record_page(found))
    output.result({"record": found, "page": page})


@privacy.command()
@_HTML
@command_body
def leaves(output: Output, page: Path | None) -> None:
    """Say what leaves this machine, from the settings."""
    from pigeonry.service.doors import STAYS
    from pigeonry.service.doors import leaves as doors_of
    from pigeonry.service.pages import leaves_page

    doors = doors_of(output.home())
    for door in doors:
        _say_door(output, door)
    output.say("what stays")
    for line in STAYS:
        output.say(f"  {line}")
    _write(output, page, leaves_page(doors))
    output.result({"doors": doors, "stays": STAYS, "page": page})


@privacy.command("opt-ins")
@command_body
def opt_ins(output: Output) -> int:
    """Send the confirmation mails that wait. Each leaves at most once."""
    from pigeonry.service.opt_in_mails import send_opt_in_mails

    home, database = output.open()
    report = send_opt_in_mails(database, home, now=datetime.now(UTC))
    output.say(
        f"{report.sent:,} sent, {report.failed:,} failed, {report.unknown:,} unknown (never sent again), "
        f"{report.waiting:,} wait"
    )
    if report.trouble:
        output.say(f"stopped: {report.trouble}")
    output.result(
        {
            "sent": report.sent,
            "failed": report.failed,
            "unknown": report.unknown,
            "waiting": report.waiting,
            "trouble": report.trouble,
        }
    )
    return 1 if report.failed or report.unknown or report.trouble else 0


@click.group()
def consent() -> None:
    """The words that people agree to."""


@consent.group()
def text() -> None:
    """Store and list consent texts; each has a version by its words."""


@text.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--language", type=click.Choice(["ro", "en"]), required=True)
@command_body
def add(output: Output, file: Path, language: str) -> None:
    """Store the text in FILE (UTF-8) and print its version. The same words keep their version."""
    from pigeonry.service.consent_texts import add_text

    _, database = output.open()
    found = add_text(database, file, language=language, now=datetime.now(UTC))
    output.say(f"{found.version}  {found.language}  {_first_line(found.text)}")
    output.result({"version": found.version, "language": found.language})


@text.command("list")
@command_body
def list_(output: Output) -> None:
    """List the stored texts, oldest first."""
    from pigeonry.service.consent_texts import list_texts

    _, database = output.open()
    found = list_texts(database)
    for row in found:
        output.say(
            f"{row.version}  {row.language}  {row.created_at:%Y-%m-%d}  {_first_line(row.text)}"
        )
    if not found:
        output.say("none yet: pigeonry consent text add FILE --language ro")
    output.result({"texts": found})


def _say_door(output: Output, door: Door) -> None:
    output.say(f"{door.name}: {door.where}")
    output.say(f"  what goes    {door.sends}")
    output.say(f"  of a person  {door.personal or 'nothing'}")
    for name in ("region", "role", "note"):
        if value := getattr(door, name):
            output.say(f"  {name:<12} {value}")


def _write(output: Output, page: Path | None, html: str) -> None:
    if page is not None:
        page.write_text(html, encoding="utf-8")
        output.say(f"page: {page}")


def _first_line(words: str) -> str:
    line = words.strip().splitlines()[0]
    return line if len(line) <= 70 else f"{line[:67]}..."
