"""What a run leaves to look at in Prefect's UI. Segments, texts, money and rates; never a lead.

The facts are those of the report page, gathered by the same service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.tasks import opened
from pigeonry.domain.variant import Variant
from pigeonry.service import report_words as words
from pigeonry.service.report_data import CampaignFacts, CostFacts

Row = dict[str, str | int]

SIMULATED = "Whatever recipients did here is SIMULATED: this home was made by `pigeonry demo`."


def leave(campaign_id: int, home: str) -> dict[str, int | str]:
    """Leave all tables of a campaign, and return where it stands."""
    from pigeonry.service import campaigns
    from pigeonry.service.report_collect import collect

    leave_segments(home)
    leave_variants(campaign_id, home)
    with opened(home) as (db, found):
        data = collect(db, found, [campaign_id], now=datetime.now(UTC))
        view = campaigns.view(db, campaign_id)
        note = _note(found.path)
    facts = data.campaigns[0]
    if data.costs is not None:
        _table(f"campaign-{campaign_id}-costs", data.costs.note, _costs(data.costs))
    _table(f"campaign-{campaign_id}-results", f"{facts.verdict} {note}", _results(facts))
    return {
        "campaign": campaign_id,
        "name": view.name,
        "stage": view.stage,
        "state": view.state,
        "planned": view.planned,
        "held_out": view.held_out,
        "sent": view.sent,
        "failed": view.failed,
        "parked": view.parked,
    }


def leave_segments(home: str) -> None:
    from pigeonry.service.segments import list_segments

    with opened(home) as (db, _):
        segments = list_segments(db)
    rows: list[Row] = [
        {"id": s.id, "name": s.name, "leads": s.size, "description": s.description}
        for s in segments
    ]
    _table("segments", "Segments of the audience", rows)


def leave_variants(campaign_id: int, home: str) -> None:
    """The texts that wait for approval, arms side by side."""
    from pigeonry.service import campaigns
    from pigeonry.service.segments import list_segments

    with opened(home) as (db, _):
        variants = campaigns.view(db, campaign_id).variants
        names = {segment.id: segment.name for segment in list_segments(db)}
    create_markdown_artifact(
        key=f"campaign-{campaign_id}-variants",
        markdown=side_by_side(variants, names),
        description="Variants, arms side by side",
    )


def leave_counts(key: str, counts: Mapping[str, int]) -> None:
    _table(key, "", [dict(counts)])


def side_by_side(variants: Sequence[Variant], names: Mapping[int, str]) -> str:
    """One Markdown table for each segment and language, one column for each arm."""
    parts = []
    ordered = sorted(variants, key=lambda v: (v.segment_id, v.language, v.arm))
    for (segment, language), group in groupby(ordered, key=lambda v: (v.segment_id, v.language)):
        arms = list(group)
        lines: dict[str, list[str]] = {
            "Subject": [v.copy.subject for v in arms],
            "Preheader": [v.copy.preheader for v in arms],
            "Text": ["<br>".join((v.copy.hook, *v.copy.body)) for v in arms],
            "Button": [v.copy.cta for v in arms],
            "Written by": [f"{v.tier} {v.model}".strip() for v in arms],
            "Prompt": [f"{v.prompt} @ {v.prompt_version}" for v in arms],
            "Expected clicks": [
                "-" if v.predicted_click is None else words.percent(v.predicted_click) for v in arms
            ],
        }
        parts += [
            f"## {names.get(segment, f'Segment {segment}')} · {language}\n",
            _row("", [v.arm for v in arms]),
            _row("---", ["---" for _ in arms]),
            *(_row(f"**{name}**", cells) for name, cells in lines.items()),
            "",
        ]
    return "\n".join(parts) or "No variant is written yet."


def _row(head: str, cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in (head, *cells)) + " |"


def _costs(costs: CostFacts) -> list[Row]:
    return [
        {
            "step": step.name,
            "cost": words.money(step.micros, costs.currency),
            "what changes": step.explanation,
        }
        for step in costs.steps
    ]


def _results(facts: CampaignFacts) -> list[Row]:
    return [
        {
            "arm": arm.arm,
            "prompt": arm.prompt,
            "sent": arm.sends,
            "opens": arm.opens,
            "machine opens": arm.machine_opens,
            "clicks": arm.clicks,
            "click rate": words.percent(arm.click_rate.estimate) if arm.click_rate else "-",
            "95 % interval": words.span(arm.click_rate) if arm.click_rate else "-",
            "P(best)": "-" if arm.p_best is None else words.chance(arm.p_best),
            "unsubscribes": arm.unsubscribes,
        }
        for arm in facts.arms
    ]


def _note(home: Path) -> str:
    return SIMULATED if (home / "DEMO").exists() else ""


def _table(key: str, description: str, rows: Sequence[Row]) -> None:
    create_table_artifact(key=key, table=list(rows), description=description.strip() or None)
