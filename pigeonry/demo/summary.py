"""One screen that says what the demo did. Every number that rests on simulated recipients says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pigeonry.config import Home
from pigeonry.demo.run import DemoResult
from pigeonry.service.homes import open_database
from pigeonry.service.report_collect import collect
from pigeonry.service.report_data import ArmFacts, CampaignFacts, ReportData


def read(home: Home, result: DemoResult) -> ReportData:
    """The report's numbers, read back from the database."""
    db = open_database(home)
    try:
        return collect(db, home, result.campaigns, now=datetime.now(UTC))
    finally:
        db.dispose()


def lines(data: ReportData, result: DemoResult, *, seconds: float) -> Iterator[str]:
    """The summary, for a terminal of 100 columns."""
    yield f"done in {seconds:.0f} s"
    yield "segments   " + ", ".join(f"{s.name} ({s.size:,})" for s in data.segments)
    for campaign in data.campaigns:
        yield f"campaign {campaign.id} {campaign.title}: {campaign.sent:,} mails, {campaign.held_out:,} held out by lot"
        yield f"  copy       {_copy(campaign)}"
        for arm in campaign.arms:
            yield f"  arm {arm.arm}      {_arm(arm, campaign)}"
        yield f"  simulated: {campaign.verdict}"
    yield f"mail       {result.mails:,} files in {result.outbox}"
    yield f"report     {result.report}"


def _copy(campaign: CampaignFacts) -> str:
    mails = campaign.mails
    own = sum(bool(mail.model) for mail in mails)
    return (
        f"{len(mails)} variants, {own} with a subject by {campaign.local_model or 'no model'}; "
        f"{campaign.refused_proposals} of {campaign.proposals} proposals refused; "
        f"{campaign.cost_micros / 1e6:.2f} {campaign.currency}"
    )


def _arm(arm: ArmFacts, campaign: CampaignFacts) -> str:
    waves = ", ".join(
        f"{'test' if wave.wave == 1 else 'rest'} {wave.arms.get(arm.arm, 0):,}"
        for wave in campaign.waves
    )
    rate = arm.click_rate
    clicks = (
        f"simulated clicks {rate.estimate:.1%} ({rate.low:.1%} to {rate.high:.1%})"
        if rate is not None
        else "no simulated clicks yet"
    )
    return f"{arm.prompt:<17} picked with chance {arm.probability:.2f}; {waves}; {clicks}"


def to_json(data: ReportData, result: DemoResult, *, seconds: float) -> dict[str, Any]:
    """The same for programs. `simulated` is always true: no number here is about people."""
    return {
        "simulated": True,
        "seconds": round(seconds, 1),
        "report": result.report,
        "outbox": result.outbox,
        "mails": result.mails,
        "events": result.events,
        "campaigns": [_campaign_json(campaign) for campaign in data.campaigns],
    }


def _campaign_json(campaign: CampaignFacts) -> dict[str, Any]:
    return {
        "campaign": campaign.id,
        "name": campaign.name,
        "sent": campaign.sent,
        "held_out": campaign.held_out,
        "proposals": campaign.proposals,
        "refused": dict(campaign.refused),
        "cost": campaign.cost_micros / 1e6,
        "currency": campaign.currency,
        "verdict": campaign.verdict,
        "arms": [
            {
                "arm": arm.arm,
                "prompt": arm.prompt,
                "probability": arm.probability,
                "sends": arm.sends,
                "clicks": arm.clicks,
                "click_rate": arm.click_rate,
                "p_best": arm.p_best,
                "waves": {str(wave.wave): wave.arms.get(arm.arm, 0) for wave in campaign.waves},
            }
            for arm in campaign.arms
        ],
    }
