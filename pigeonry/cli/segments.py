"""`pigeonry segments`: refresh, list and show groups of leads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pigeonry.cli.common import Output, command_body

if TYPE_CHECKING:
    from pigeonry.domain.segment import Segment


@click.group()
def segments() -> None:
    """Group leads by what they are and what they do."""


@segments.command()
@click.option(
    "--refit/--no-refit",
    default=None,
    help="Fit anew, or keep the fit; by default only when it is due.",
)
@command_body
def refresh(output: Output, refit: bool | None) -> None:
    """Embed new and changed leads, fit when it is due, and give every lead a segment."""
    from datetime import UTC, datetime

    from pigeonry.service.segments import refresh_segments

    home, database = output.open()
    report = refresh_segments(
        database, home, now=datetime.now(UTC), progress=output.progress, refit=refit
    )
    _table(output, report.segments)
    output.say(
        f"{report.assigned:,} leads assigned for the first time, {report.moved:,} moved; "
        f"{report.embedded:,} profiles embedded, {report.reused:,} reused"
    )
    if report.note:
        output.say(report.note)
    output.result(
        {
            "segments": [_row(segment) for segment in report.segments],
            "moved": report.moved,
            "assigned": report.assigned,
            "embedded": report.embedded,
            "reused": report.reused,
            "model": report.model,
            "embedder": report.embedder,
            "refit": report.refit,
            "note": report.note,
        }
    )


@segments.command("list")
@command_body
def list_command(output: Output) -> None:
    """The segments in use, largest first."""
    from pigeonry.service.segments import list_segments

    _, database = output.open()
    found = list_segments(database)
    _table(output, found)
    if not found:
        output.say("No segments yet: `pigeonry segments refresh` makes them.")
    output.result({"segments": [_row(segment) for segment in found]})


@segments.command()
@click.argument("segment_id", type=int, metavar="ID")
@command_body
def show(output: Output, segment_id: int) -> None:
    """One segment: its name, size, and what sets it apart."""
    from pigeonry.service.segments import show_segment

    _, database = output.open()
    segment, retired = show_segment(database, segment_id)
    output.say(f"{segment.id}  {segment.name}  ({segment.size:,} leads)")
    output.say(segment.description)
    if retired is not None:
        output.say(f"retired {retired:%d %B %Y}: later fits found no group like it")
    output.result({"segments": [{**_row(segment), "terms": segment.terms, "retired": retired}]})


def _row(segment: Segment) -> dict[str, Any]:
    return {
        "id": segment.id,
        "name": segment.name,
        "size": segment.size,
        "description": segment.description,
    }


def _table(output: Output, found: tuple[Segment, ...]) -> None:
    for segment in found:
        output.say(f"{segment.id:>5}  {segment.size:>9,}  {segment.name}")
