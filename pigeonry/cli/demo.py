"""`pigeonry demo`: the main job on example leads."""

from __future__ import annotations

import time
from pathlib import Path

import click

from pigeonry.cli.common import Output, command_body


@click.command()
@click.option(
    "--examples",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder with leads.csv and briefs/ (default: the checkout's examples).",
)
@command_body
def demo(output: Output, examples: Path | None) -> int:
    """Run the main job on example leads: two campaigns, replies from SIMULATED recipients, a report.

    Uses a home of its own (./.pigeonry-demo unless --home or PIGEONRY_HOME says otherwise), which it
    empties at each run. Nothing leaves this machine: mail is written to files.
    """
    import os

    from pigeonry.config import load_home
    from pigeonry.demo.run import EXAMPLES, run_demo
    from pigeonry.demo.summary import lines, read, to_json

    began = time.monotonic()
    if output.home_path is None and not os.environ.get("PIGEONRY_HOME"):
        output.home_path = Path(".pigeonry-demo")
    home = load_home(output.home_path)
    result = run_demo(home, say=output.say, progress=output.progress, examples=examples or EXAMPLES)
    seconds = time.monotonic() - began
    data = read(home, result)
    output.say()
    for line in lines(data, result, seconds=seconds):
        output.say(line)
    output.result(to_json(data, result, seconds=seconds))
    return 0
