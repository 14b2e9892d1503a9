"""`pigeonry leads`: import a file, show, export and erase one person."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pigeonry.cli.common import Output, command_body

if TYPE_CHECKING:
    from pigeonry.service.leads import ImportReport

_SHOWN = 10
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}


@click.group()
def leads() -> None:
    """Import, show, export and erase leads."""


@leads.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--map",
    "overrides",
    multiple=True,
    metavar="COLUMN=FIELD",
    help="What a column is; COLUMN may be #3 for the third. Repeat for more.",
)
@click.option("--dry-run", is_flag=True, help="Say what would happen and write nothing.")
@click.option(
    "--consent",
    metavar="BASIS:SOURCE",
    help="What the people of this file agreed to: express:newsletter-form, or existing-customer:shop. "
    "express:form@VERSION names the consent text that they saw.",
)
@click.option(
    "--evidence",
    default="",
    metavar="PARTS",
    help="What existing customers need: 'bought=...; on=...; similar=...; opt-out=yes'.",
)
@click.option("--encoding", help="Override the detected encoding, e.g. windows-1250.")
@click.option("--delimiter", help="Override the detected delimiter: comma, semicolon, tab, pipe.")
@command_body
def import_(
    output: Output,
    file: Path,
    overrides: tuple[str, ...],
    dry_run: bool,
    consent: str | None,
    evidence: str,
    encoding: str | None,
    delimiter: str | None,
) -> int:
    """Import a CSV file (or .csv.gz) of leads. The same file twice changes nothing.

    Without --consent and without a consent column leads are stored, and none of them is mailed.
    Bad rows are listed in a file with their line and reason; they never stop good ones.
    """
    from pigeonry.service.leads import import_leads, parse_claim, parse_mapping

    mapping = parse_mapping(overrides)
    claim = parse_claim(consent, evidence) if consent is not None else None
    home, database = output.open()
    report = import_leads(
        database,
        home,
        file,
        mapping=mapping,
        consent=claim,
        dry_run=dry_run,
        encoding=encoding,
        delimiter=delimiter,
        now=datetime.now(UTC),
        progress=output.progress,
    )
    _say(output, report)
    output.result(
        {
            "rows": report.rows,
            "created": report.created,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "rejected": report.rejected,
            "suppressed": report.suppressed,
            "consented": report.consented,
            "encoding": report.encoding,
            "confidence": report.confidence,
            "delimiter": report.delimiter,
            "mapping": report.mapping,
            "errors": report.errors,
            "error_count": report.error_count,
            "errors_file": report.errors_file,
            "dry_run": report.dry_run,
            "differences": report.differences,
            "notes": report.notes,
            "seconds": round(report.seconds, 3),
        }
    )
    return 1 if report.rejected else 0


@leads.command()
@click.option("--limit", default=20, show_default=True, help="How many, newest first.")
@command_body
def imports(output: Output, limit: int) -> None:
    """List imports, newest first, with what became of them."""
    from pigeonry.service.undoing import listed

    _, database = output.open()
    found = listed(database, limit=limit)
    for run in found:
        counts = ", ".join(
            f"{run.counts[name]:,} {name}" for name in ("created", "updated") if run.counts
        )
        output.say(
            f"{run.id:>6}  {run.started_at:%Y-%m-%d %H:%M}  {run.state:<11} {run.file_name}  {counts}"
        )
    if not found:
        output.say("nothing was imported")
    output.result({"imports": found})


@leads.command()
@click.argument("number", type=int, metavar="IMPORT")
@command_body
def undo(output: Output, number: int) -> int:
    """Take an import back. What people decided since, and mail that has left, stays.

    Leads that it created go, unless something happened to them since; fields that it changed get their old
    value, unless somebody changed them since. Nobody is mailed who is not mailed now. Exit code 1 when
    something had to stay.
    """
    import dataclasses

    from pigeonry.service.undoing import undo_import

    home, database = output.open()
    done = undo_import(
        database, home, number, actor="cli", now=datetime.now(UTC), progress=output.progress
    )
    output.say(f"{done.removed:,} leads removed, {done.restored:,} fields put back")
    if done.kept or done.changed_since:
        output.say(
            f"kept, because something happened since: {done.kept:,} leads, {done.changed_since:,} fields"
        )
    if done.stops_kept:
        output.say(
            f"still never mailed: {done.stops_kept:,} addresses that the file wanted stopped"
        )
    output.result(dataclasses.asdict(done))
    return 1 if done.kept or done.changed_since else 0


@leads.command()
@click.argument("email")
@command_body
def show(output: Output, email: str) -> None:
    """Show a lead: what is known, what was agreed, whether it may be mailed."""
    from pigeonry.service.people import show_person

    home, database = output.open()
    person = show_person(database, home, email, now=datetime.now(UTC))
    lead = person.lead
    output.say(f"{lead.email}  (lead {lead.id})")
    for name in ("first_name", "last_name", "company", "phone", "language", "country", "city"):
        if value := getattr(lead, name):
            output.say(f"  {name.replace('_', ' '):<12} {value}")
    for name, value in sorted(lead.attributes.items()):
        output.say(f"  {name:<12} {value}")
    basis = f", {person.basis}" if person.basis else ""
    ended = ", and has ended" if person.ended else ""
    output.say(f"  consent      {person.consent or 'none: may not be mailed'}{basis}{ended}")
    if person.suppressed:
        output.say(f"  suppressed   {person.suppressed}: is never mailed")
    output.result(
        {
            "lead": lead,
            "consent": person.consent,
            "suppressed": person.suppressed,
            "mailable": person.mailable,
        }
    )


@leads.command()
@click.argument("email")
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a readable page in the person's language, and print nothing of it.",
)
@command_body
def export(output: Output, email: str, page: Path | None) -> None:
    """Print everything that is stored about a person, as JSON."""
    import json

    from pigeonry.cli.common import plain
    from pigeonry.service.people import export_person

    home, database = output.open()
    everything = export_person(database, home, email)
    if page is not None:
        from pigeonry.service.pages import person_page

        page.write_text(person_page(everything), encoding="utf-8")
        output.say(f"page: {page}")
    elif not output.json:
        output.say(json.dumps(everything, default=plain, ensure_ascii=False, indent=2))
    output.result(everything)


@leads.command()
@click.argument("email")
@command_body
def erase(output: Output, email: str) -> int:
    """Erase a person for good: rows, vectors, mails, reports, logs, Prefect's records.

    A keyed hash of the address stays, so that nobody writes to it again. Exit code 1 when something could
    not be done now: run it again.
    """
    from pigeonry.service.people import erase_person

    home, database = output.open()
    report = erase_person(database, home, email, now=datetime.now(UTC))
    rows = ", ".join(f"{number:,} {table}" for table, number in sorted(report.rows.items()))
    output.say(f"erased: {rows}" if report.found else "no lead had this address")
    struck = sum(report.struck.values()) + report.prefect
    if struck:
        output.say(f"struck out of {struck:,} records of other kinds")
    for path in report.deleted[:_SHOWN]:
        output.say(f"deleted {path}")
    if len(report.deleted) > _SHOWN:
        output.say(f"and {len(report.deleted) - _SHOWN:,} more files")
    for path in report.changed:
        output.say(f"struck out of {path}")
    for path in report.left:
        output.say(f"still shows the person, and is yours to delete: {path}")
    for note in report.notes:
        output.say(f"not done: {note}")
    output.say("a keyed hash of the address stays, so that an import cannot bring it back")
    output.result(
        {
            "erased": report.found,
            "rows": report.rows,
            "struck": report.struck,
            "deleted": report.deleted,
            "changed": report.changed,
            "left": report.left,
            "files": report.files,
            "prefect": report.prefect,
            "notes": report.notes,
            "seconds": round(report.seconds, 3),
        }
    )
    return 1 if report.notes else 0


def _say(output: Output, report: ImportReport) -> None:
    sure = f", {report.confidence:.0%} sure" if report.confidence < 1 else ""
    used = {name: field for name, field in report.mapping.items() if field != "attribute"}
    kept = len(report.mapping) - len(used)
    output.say(
        f"read as {report.encoding}{sure}, cells separated by "
        f"{_DELIMITERS.get(report.delimiter, repr(report.delimiter))}"
    )
    output.say("columns: " + ", ".join(f"{name} = {field}" for name, field in used.items()))
    if kept:
        output.say(f"{kept} more columns are kept as attributes")
    for note in report.notes:
        output.say(f"note: {note}")
    head = "would be: " if report.dry_run else ""
    output.say(
        f"{head}{report.rows:,} rows = {report.created:,} created + {report.updated:,} updated "
        f"+ {report.unchanged:,} unchanged + {report.rejected:,} rejected"
    )
    output.say(
        f"{report.suppressed:,} of them must not be mailed, {report.consented:,} may be mailed"
    )
    if report.rows and not report.consented:
        output.say("none may be mailed: give --consent BASIS:SOURCE, or a consent column")
    for change in report.differences[: 2 * _SHOWN] if report.dry_run else ():
        output.say(f"  {change.email}: {change.field} {change.before!r} -> {change.after!r}")
    for error in report.errors[:_SHOWN]:
        column = f", column {error.column!r}" if error.column else ""
        output.say(f"  line {error.line}{column}: {error.reason}")
    if report.error_count > _SHOWN:
        output.say(f"  and {report.error_count - _SHOWN:,} more")
    if report.errors_file:
        output.say(f"all of them: {report.errors_file}")
    if report.dry_run:
        output.say("nothing was written")
