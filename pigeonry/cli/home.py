"""`pigeonry init` and `pigeonry doctor`."""

from __future__ import annotations

import click

from pigeonry.cli.common import Output, command_body


@click.command()
@command_body
def init(output: Output) -> None:
    """Make a home folder and its database; migrate an older one. Safe to run again."""
    from pigeonry.service.homes import init as init_home
    from pigeonry.service.homes import shown_url

    home = output.home()
    init_home(home).dispose()
    output.say(f"home      {home.path}")
    output.say(f"database  {shown_url(home)}")
    output.result({"home": home.path, "database": shown_url(home), "checks": []})


@click.command()
@command_body
def doctor(output: Output) -> int:
    """Say what is set, what is missing and what each gap costs. Changes nothing."""
    from pigeonry.service.doctor import diagnose
    from pigeonry.service.homes import shown_url

    home = output.home()
    checks = diagnose(home)
    for check in checks:
        output.say(f"{'ok ' if check.ok else 'GAP'}  {check.name:<18} {check.detail}")
        if check.fix:
            output.say(f"{'':24}-> {check.fix}")
    output.result({"home": home.path, "database": shown_url(home), "checks": checks})
    return 0 if all(check.ok for check in checks) else 1
