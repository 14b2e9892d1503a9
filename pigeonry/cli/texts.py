"""`pigeonry prompts check` and `pigeonry templates check`: do the text files keep their rules?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pigeonry.cli.common import Output, command_body

if TYPE_CHECKING:
    from pigeonry.domain import Violation

FOLDER = click.Path(path_type=Path, file_okay=False, exists=True)


@click.group()
def prompts() -> None:
    """Check the prompt files."""


@prompts.command("check")
@click.option("--folder", type=FOLDER, help="Another folder than the packaged one.")
@command_body
def check_prompts_command(output: Output, folder: Path | None) -> int:
    """Say which prompt files break their contract: meta, variables, sections, grammar."""
    from generation.prompts import check_prompts

    return _show(output, check_prompts(folder), "prompts")


@click.group()
def templates() -> None:
    """Check the copy library."""


@templates.command("check")
@click.option("--folder", type=FOLDER, help="Another folder than the packaged one.")
@command_body
def check_templates_command(output: Output, folder: Path | None) -> int:
    """Say which texts of the copy library break its rules: slots, lengths, claims, repetitions."""
    from generation.library_check import check_library

    return _show(output, check_library(folder), "copy library")


def _show(output: Output, found: Sequence[Violation], what: str) -> int:
    for violation in found:
        output.say(f"{violation.field}: {violation.check}: {violation.detail}")
    output.say(f"{what}: {len(found)} violations" if found else f"{what}: every rule is kept")
    output.result({"violations": [dataclasses.asdict(violation) for violation in found]})
    return 1 if found else 0
