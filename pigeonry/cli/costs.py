"""`pigeonry costs`: what the copy cost, by tier and campaign, and what it would have cost."""

from __future__ import annotations

import dataclasses

import click

from pigeonry.cli.common import Output, command_body


@click.command()
@click.option("--campaign", type=int, help="Only this campaign's number.")
@command_body
def costs(output: Output, campaign: int | None) -> None:
    """Show what the copy cost, and what the same mails would have cost without each saving."""
    from pigeonry.domain.clock import utc_now
    from pigeonry.service.costs import cost_report

    _, db = output.open()
    report = cost_report(db, campaign, now=utc_now())
    width = max(len(step.name) for step in report.steps)
    for step in report.steps:
        output.say(
            f"{step.name:{width}}  {step.micros / 1e6:>12,.6f} {report.currency}  {step.explanation}"
        )
    output.say()
    for tier in report.tiers:
        output.say(
            f"{tier.tier}: {tier.accepted} accepted, {tier.refused} refused, {tier.failed} failed, "
            f"{tier.skipped} skipped, {tier.cache_hits} from the cache, "
            f"{tier.tokens_in:,} + {tier.tokens_out:,} tokens, {tier.seconds:.1f} s, "
            f"{tier.cost_micros / 1e6:,.6f} {tier.currency}"
        )
    for row in report.campaigns:
        output.say(
            f"campaign {row.campaign} ({row.name}): {row.mails:,} mails, {row.texts} texts, "
            f"{row.calls} calls, {row.cost_micros / 1e6:,.6f} {row.currency}"
        )
    output.say(report.note)
    output.result(
        {
            "currency": report.currency,
            "waterfall": [dataclasses.asdict(step) for step in report.steps],
            "tiers": [dataclasses.asdict(tier) for tier in report.tiers],
            "campaigns": [dataclasses.asdict(row) for row in report.campaigns],
            "prices": [dataclasses.asdict(price) for price in report.prices],
            "note": report.note,
        }
    )
