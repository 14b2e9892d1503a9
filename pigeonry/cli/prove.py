"""`pigeonry prove`: kill real senders in the middle of real campaigns, and count at the far end."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from pigeonry.cli.common import Output, command_body


@click.command()
@click.option("--all", "everything", is_flag=True, help="Try every guarantee, and write the table.")
@click.option("--messages", default=1000, show_default=True, help="Mails of one campaign.")
@click.option("--kills", default=20, show_default=True, help="SIGKILLs in one campaign.")
@click.option("--seed", default=1, show_default=True, help="Of every lot that is drawn.")
@click.option("--workers", default=2, show_default=True, help="Senders at once.")
@click.option(
    "--channel",
    "channels",
    type=click.Choice(["smtp", "sendgrid", "file"]),
    multiple=True,
    help="May be given several times.  [default: smtp and sendgrid]",
)
@click.option(
    "--database",
    "databases",
    type=click.Choice(["sqlite", "postgres"]),
    multiple=True,
    help="postgres starts the packaged server.  [default: sqlite]",
)
@click.option(
    "--table",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --all: where the table goes.  [default: docs/guarantees.md in a checkout]",
)
@command_body
def prove(
    output: Output,
    everything: bool,
    messages: int,
    kills: int,
    seed: int,
    workers: int,
    channels: tuple[str, ...],
    databases: tuple[str, ...],
    table: Path | None,
) -> int:
    """Kill senders in the middle of a campaign and count what arrived, from the far end's own log.

    Runs in a temporary home with invented people, over loopback: it sends nothing to anybody. Exit code 1
    when a promise was broken.
    """
    from pigeonry.prove.guarantee import Setting
    from pigeonry.prove.limits import Limits

    output.say(f"seed {seed}; {Limits().shown()}")
    setting = Setting(
        seed=seed,
        messages=messages,
        kills=kills,
        channels=channels or ("smtp", "sendgrid"),
        databases=databases or ("sqlite",),
        workers=workers,
        progress=output.progress,
    )
    if everything:
        return _everything(output, setting, table)
    from pigeonry.prove.cell import run_cell

    cells = []
    for channel in setting.channels:
        for database in setting.databases:
            cell = run_cell(
                channel=channel,
                database=database,
                seed=seed,
                messages=messages,
                kills=kills,
                workers=workers,
                progress=output.progress,
            )
            cells.append(cell.to_json())
            output.say(
                f"{channel} on {database}: {'held' if cell.held else 'BROKEN'}; "
                + ", ".join(
                    f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
                    for name, value in cells[-1].items()
                    if name not in ("channel", "database", "held", "limits", "seed")
                )
            )
    names = ("duplicates", "lost", "parked", "unknown", "accepted", "kills", "seconds", "messages")
    output.result(
        {name: sum(cell[name] for cell in cells) for name in names}
        | {"seed": seed, "held": all(cell["held"] for cell in cells), "cells": cells}
    )
    return 0 if all(cell["held"] for cell in cells) else 1


def _everything(output: Output, setting: object, table: Path | None) -> int:
    from pigeonry.prove import guarantees
    from pigeonry.prove.guarantee import Setting

    assert isinstance(setting, Setting)
    tried = []
    for one in guarantees.try_all(setting, time.monotonic):
        tried.append(one)
        output.say(
            f"{one.guarantee.name}: {'held' if one.held else 'BROKEN'}  ({one.seconds:.0f} s)"
        )
        for outcome in one.outcomes:
            output.say(f"  {'ok ' if outcome.held else 'NO '} {outcome.trial}: {outcome.words()}")
    path = table or _table_path()
    if path is not None:
        path.write_text(guarantees.table(tried, setting, at=datetime.now(UTC)), encoding="utf-8")
        output.say(f"written: {path}")
    held = all(one.held for one in tried)
    output.result(
        {
            "held": held,
            "table": path,
            "guarantees": [
                {
                    "name": one.guarantee.name,
                    "held": one.held,
                    "seconds": round(one.seconds, 1),
                    "trials": [
                        {"trial": o.trial, "held": o.held, **o.numbers} for o in one.outcomes
                    ],
                }
                for one in tried
            ],
        }
    )
    return 0 if held else 1


def _table_path() -> Path | None:
    """`docs/guarantees.md` of a checkout; None elsewhere."""
    docs = Path(__file__).resolve().parents[2] / "docs"
    return docs / "guarantees.md" if docs.is_dir() else None
