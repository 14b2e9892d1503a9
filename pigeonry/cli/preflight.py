"""`pigeonry preflight` and `pigeonry dkim-key`."""

from __future__ import annotations

from pathlib import Path

import click

from pigeonry.cli.common import Output, command_body


@click.command()
@click.argument("brief", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--no-dns", is_flag=True, help="Ask no name server about the sender's domain.")
@command_body
def preflight(output: Output, brief: Path, no_dns: bool) -> int:
    """Look at a brief's mails, sender and domain as mailbox providers will. Sends nothing.

    Mails are written from the copy library, without a model. FAIL is refused, unlawful or cannot be left;
    WARN leaves and reaches fewer; ? is what nobody could look up.
    """
    from datetime import UTC, datetime

    from generation.brief import read_brief
    from pigeonry.delivery.domain_records import name_servers
    from pigeonry.service.preflight import preflight as look

    findings = look(
        output.home(),
        read_brief(brief),
        look_up=None if no_dns else name_servers(),
        now=datetime.now(UTC),
    )
    for finding in findings:
        failed = "FAIL" if finding.stops else "WARN"
        mark = "ok" if finding.ok else failed if finding.known or finding.stops else "?"
        output.say(f"{mark:<5} {finding.name:<15} {finding.detail}")
        if finding.fix and not finding.ok:
            output.say(f"{'':21} -> {finding.fix}")
    stopped = [finding.name for finding in findings if finding.stops]
    output.say(f"{len(stopped)} of {len(findings)} checks have to be mended first")
    output.result({"checks": findings, "failed": stopped})
    return 1 if stopped else 0


@click.command("dkim-key")
@command_body
def dkim_key(output: Output) -> None:
    """Make the key that signs mails for `smtp.dkim_domain`, and print the DNS record to publish.

    A key that is there already is kept: run it again to see the record.
    """
    from pigeonry.delivery.dkim import key_file, make_key

    home = output.home()
    signer = make_key(home)
    output.say(f"key     {key_file(home)}")
    output.say(f"name    {signer.record_name}")
    output.say("type    TXT")
    output.say(f"value   {signer.record}")
    output.result({"key": key_file(home), "name": signer.record_name, "value": signer.record})
