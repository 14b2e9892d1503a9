"""`pigeonry notices`: which other programs are told what happened."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from pigeonry.cli.common import Output, command_body

_BY = "command line"
_KINDS = ["campaign.finished", "messages.parked", "lead.suppressed", "drift"]


@click.group()
def notices() -> None:
    """Tell other programs what happened, by signed webhooks (Standard Webhooks)."""


@notices.command("add")
@click.argument("url")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice(_KINDS), help="Default: all of them."
)
@command_body
def add_command(output: Output, url: str, kinds: tuple[str, ...]) -> None:
    """Add an https address and print the secret that signs what goes there, this once."""
    from pigeonry.domain.notice import NoticeKind
    from pigeonry.service import notices

    home, database = output.open()
    wanted = tuple(NoticeKind(kind) for kind in kinds or _KINDS)
    made, secret = notices.add(database, home, url=url, kinds=wanted, by=_BY, now=datetime.now(UTC))
    output.say(f"address {made.id} added; keep its secret, it is not shown again:\n  {secret}")
    output.result({"address": made.id, "secret": secret})


@notices.command("list")
@click.option("--limit", type=click.IntRange(0, 1000), default=20, show_default=True)
@command_body
def list_command(output: Output, limit: int) -> None:
    """List addresses, and the newest notices with what became of them."""
    from pigeonry.service import notices

    _, database = output.open()
    addresses, newest = notices.addresses(database), notices.newest(database, limit)
    for address in addresses:
        state = "stopped by the receiver" if address.stopped_at else ", ".join(address.kinds)
        output.say(f"{address.id:>4}  {address.url}  {state}")
    for notice in newest:
        output.say(
            f"{notice.at:%Y-%m-%d %H:%M}  to {notice.address_id:<4} {notice.kind:<18} "
            f"{notice.state:<8} {notice.attempts} tries  {notice.answer}".rstrip()
        )
    if not addresses:
        output.say("no addresses; `pigeonry notices add https://…` adds one")
    output.result({"addresses": addresses, "notices": newest})


@notices.command("remove")
@click.argument("address", type=int)
@command_body
def remove_command(output: Output, address: int) -> None:
    """Tell an address nothing more."""
    from pigeonry.service import notices

    home, database = output.open()
    notices.remove(database, home, address, by=_BY, now=datetime.now(UTC))
    output.say(f"address {address} removed")
    output.result({"address": address})


@notices.command("deliver")
@command_body
def deliver_command(output: Output) -> None:
    """Look for news and tell them now; the web app does this by itself."""
    from pigeonry.service import notices

    home, database = output.open()
    now = datetime.now(UTC)
    found = notices.look(database, now=now)
    taken = notices.deliver(database, home, now=now)
    output.say(f"{found:,} notices made, {taken:,} taken")
    output.result({"made": found, "taken": taken})
