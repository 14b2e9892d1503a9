"""`pigeonry operators`: who may sign in to the console."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from pigeonry.cli.common import Output, command_body

if TYPE_CHECKING:
    from pigeonry.config import Home

_BY = "command line"
_ROLES = ["viewer", "editor", "sender", "privacy", "admin"]


@click.group("operators")
def operators() -> None:
    """Add, list and disable the people who may sign in, and give them links to choose a password."""


@operators.command("add")
@click.argument("email")
@click.option("--name", required=True, help="As colleagues know them.")
@click.option("--role", type=click.Choice(_ROLES), default="editor", show_default=True)
@command_body
def add_command(output: Output, email: str, name: str, role: str) -> None:
    """Add an operator and print the link with which they choose a password, good for a day, once.

    viewer looks; editor also writes campaigns and uploads leads; sender also approves and sends; privacy looks,
    exports and erases people; admin does everything.
    """
    from pigeonry.domain.operator import Role
    from pigeonry.service import operators

    home, database = output.open()
    now = datetime.now(UTC)
    made = operators.add(database, home, name=name, email=email, role=Role(role), by=_BY, now=now)
    token = operators.link(database, home, made.id, by=_BY, now=now)
    output.say(f"operator {made.id} added as {made.role}; give them this link within 24 hours:")
    output.say(f"  {_address(home, token)}")
    output.result({"operator": made.id, "role": made.role, "link": _address(home, token)})


@operators.command("list")
@command_body
def list_command(output: Output) -> None:
    """List operators with role and last sign-in."""
    from pigeonry.service import operators

    _, database = output.open()
    found = operators.every(database)
    for one in found:
        state = "disabled" if one.disabled_at else "" if one.has_password else "no password yet"
        seen = f"{one.signed_in_at:%Y-%m-%d %H:%M}" if one.signed_in_at else "never"
        second = "second factor" if one.second_factor else ""
        notes = ", ".join(note for note in (second, state) if note)
        output.say(f"{one.id:>4}  {one.role:<8} {one.email:<36} {seen:<17} {notes}".rstrip())
    if not found:
        output.say("nobody yet; `pigeonry operators link --first` makes the link for the first one")
    output.result(
        {
            "operators": [
                {
                    "id": one.id,
                    "name": one.name,
                    "email": one.email,
                    "role": one.role,
                    "disabled": one.disabled_at is not None,
                    "second_factor": one.second_factor,
                    "signed_in_at": one.signed_in_at,
                }
                for one in found
            ]
        }
    )


@operators.command("disable")
@click.argument("email")
@click.option("--undo", is_flag=True, help="Let them sign in again.")
@command_body
def disable_command(output: Output, email: str, undo: bool) -> None:
    """Let nobody sign in as that operator: sign-ins end at once and tokens stop working."""
    from pigeonry.service import operators

    home, database = output.open()
    found = operators.named(database, email)
    operators.disable(database, home, found.id, disabled=not undo, by=_BY, now=datetime.now(UTC))
    output.say(f"operator {found.id} {'may sign in again' if undo else 'is disabled'}")
    output.result({"operator": found.id, "disabled": not undo})


@operators.command("role")
@click.argument("email")
@click.argument("role", type=click.Choice(_ROLES))
@command_body
def role_command(output: Output, email: str, role: str) -> None:
    """Give an operator another role; they have to sign in again."""
    from pigeonry.domain.operator import Role
    from pigeonry.service import operators

    home, database = output.open()
    found = operators.named(database, email)
    operators.change_role(database, home, found.id, Role(role), by=_BY, now=datetime.now(UTC))
    output.say(f"operator {found.id} is {role} now")
    output.result({"operator": found.id, "role": role})


@operators.command("link")
@click.argument("email", required=False)
@click.option("--first", is_flag=True, help="For the very first operator, good for 15 minutes.")
@command_body
def link_command(output: Output, email: str | None, first: bool) -> None:
    """Print a link with which an operator chooses a new password. It also removes a lost second factor.

    It works once; links made before stop working.
    """
    from pigeonry.errors import WrongUse
    from pigeonry.service import operators

    if bool(email) == first:
        raise WrongUse("name an operator's address, or --first", where="pigeonry operators link")
    home, database = output.open()
    now = datetime.now(UTC)
    if email:
        found = operators.named(database, email)
        token = operators.link(database, home, found.id, by=_BY, now=now)
    else:
        token = operators.first_link(database, home, now=now)
    output.say(_address(home, token))
    output.result({"link": _address(home, token)})


def _address(home: Home, token: str) -> str:
    web = home.settings.web
    host = f"[{web.host}]" if ":" in web.host else web.host
    base = web.console_url.rstrip("/") or f"http://{host}:{web.port}"
    return f"{base}/setup/{token}"
