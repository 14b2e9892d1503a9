"""What a run leaves to look at in Prefect's UI. Segments, texts, money and rates; never a lead.

The facts are those of the report page, gathered by the same service.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.tasks import clock, opened
from pigeonry.domain.variant import Variant
from pigeonry.service import report_words as words

if TYPE_CHECKING:  # half a second of each run
    from pigeonry.service.report_data import CostFacts
    from pigeonry.service.results import CampaignResults

Row = dict[str, str | int]


def leave(campaign_id: int, home: str, as_of: str) -> dict[str, int | str]:
    """Leave all tables of a campaign, and return where it stands."""
    from pigeonry.service import campaigns
    from pigeonry.service.costs import cost_report
    from pigeonry.service.homes import simulated
    from pigeonry.service.results import campaign_results

    leave_segments(home)
    leave_variants(campaign_id, home)
    with opened(home) as (db, found):
        view = campaigns.view(db, campaign_id)
        costs = cost_report(db, campaign_id, now=clock(as_of)())
        results = campaign_results(
            db,
            campaign_id,
            now=clock(as_of)(),
            mature_hours=found.settings.learning.mature_hours,
        )
        label = simulated(found)
    _table(f"campaign-{campaign_id}-costs", costs.note, _costs(costs))
    said = filter(None, (results.verdict, results.holdout.claim, label))
    _table(f"campaign-{campaign_id}-results", " ".join(said), _results(results))
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


def _results(results: CampaignResults) -> list[Row]:
    return [
        {
            "arm": arm.arm,
            "prompt": arm.prompt,
            "sent": arm.counts.sends,
            "opens": arm.counts.opened,
            "machine opens": arm.machine_opens,
            "clicks": arm.counts.clicked,
            "click rate": words.percent(arm.click_rate.estimate),
            "interval": words.span(arm.click_rate),
            "P(best)": words.chance(arm.p_best),
            "unsubscribes": arm.counts.unsubscribed,
            "complaints": arm.counts.complained,
        }
        for arm in results.arms
    ]


def _table(key: str, description: str, rows: Sequence[Row]) -> None:
    create_table_artifact(key=key, table=list(rows), description=description.strip() or None)
