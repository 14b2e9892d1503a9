"""`pigeonry init` and `pigeonry doctor`."""

from __future__ import annotations

import click

from pigeonry.cli.common import Output, command_body


@click.command()
@command_body
def init(output: Output) -> None:
    """Make a home folder and its database; migrate an older one. Safe to run again."""
    from pigeonry.service.homes import init as init_home

    home = output.home()
    database = init_home(home)
    output.say(f"home      {home.path}")
    output.say(f"database  {database.engine.url.render_as_string(hide_password=True)}")
    output.result(
        {
            "home": home.path,
            "database": database.engine.url.render_as_string(hide_password=True),
            "checks": [],
        }
    )
