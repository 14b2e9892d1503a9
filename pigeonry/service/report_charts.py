"""Charts of counts, money and the map, one function each. No words of the page but labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pigeonry.service.report_data import (
    CampaignFacts,
    CostFacts,
    MapFacts,
    SegmentFacts,
)
from pigeonry.service.report_svg import (
    INK,
    MUTED,
    SURFACE,
    Chart,
    categories,
    chart,
    color,
    shape,
)
from pigeonry.service.report_words import count, money, wave_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def segment_map(found: MapFacts, segments: Sequence[SegmentFacts]) -> Chart:
    """One point a lead, one colour and shape a segment; the number stands at the segment's middle."""

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for place, segment in enumerate(segments):
            mine = found.segment_ids == segment.id
            if narrow:  # a small drawing shows a third of the points
                mine &= np.arange(mine.size) % 3 == 0
            axes.plot(
                found.x[mine],
                found.y[mine],
                linestyle="none",
                marker=shape(place),
                markersize=2.6 if narrow else 3.2,
                markeredgewidth=0,
                color=color(place),
                alpha=0.7,
            )
        for place, segment in enumerate(segments):
            mine = found.segment_ids == segment.id
            if not mine.any():
                continue
            axes.text(
                float(np.median(found.x[mine])),
                float(np.median(found.y[mine])),
                str(place + 1),
                ha="center",
                va="center",
                weight="bold",
                color=INK,
                bbox={
                    "boxstyle": "circle,pad=0.3",
                    "facecolor": SURFACE,
                    "edgecolor": color(place),
                },
            )
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        axes.margins(0.03)

    return chart(
        "map",
        f"Map of {len(segments)} segments",
        "Each point is a lead; leads alike in profile and behaviour lie close to each other. "
        + "; ".join(
            f"{place}: {segment.name}, {count(segment.size)} leads"
            for place, segment in enumerate(segments, 1)
        ),
        draw,
    )


def cost_waterfall(costs: CostFacts) -> Chart:
    """Bars from the full price down: each hangs from where the one before ended."""
    steps = costs.steps

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        lines = len(steps)
        top = max((step.micros for step in steps), default=0) / 1e6 or 1.0
        for row, step in enumerate(steps):
            value = step.micros / 1e6
            before = steps[row - 1].micros / 1e6 if row else value
            solid = color(0) if row == 0 else color(2) if row == lines - 1 else MUTED
            axes.barh(row, value, color=solid, height=0.6)
            if before > value:
                axes.barh(row, before - value, left=value, color=color(4), height=0.6, hatch="//",
                          edgecolor=SURFACE, linewidth=0)  # fmt: skip
            text = money(step.micros, costs.currency)
            if row:
                saved = steps[row - 1].micros - step.micros
                word = "saved" if saved >= 0 else "more"
                text = f"{money(abs(saved), costs.currency)} {word}\n{text} left"
            axes.text(max(value, before) + top * 0.015, row, text, va="center", color=INK)
        categories(axes, [step.name for step in steps], narrow)
        axes.set_xlim(0, top * (1.62 if narrow else 1.25))
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)

    return chart(
        "cost",
        "From one big call per lead down to what was spent",
        "; ".join(f"{step.name}: {money(step.micros, costs.currency)}" for step in steps),
        draw,
        rows=len(steps) * 1.3,
    )


def wave_shares(campaign: CampaignFacts) -> Chart:
    """How each wave was divided among the arms."""
    letters = [arm.arm for arm in campaign.arms] or sorted(
        {arm for wave in campaign.waves for arm in wave.arms}
    )

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for row, wave in enumerate(campaign.waves):
            total = sum(wave.arms.values()) or 1
            left = 0.0
            for place, letter in enumerate(letters):
                share = wave.arms.get(letter, 0) / total
                axes.barh(row, share, left=left, height=0.62, color=color(place), edgecolor=SURFACE,
                          linewidth=1.5, label=letter if row == 0 else None)  # fmt: skip
                if share > (0.16 if narrow else 0.08):
                    axes.text(left + share / 2, row, f"{letter} {share:.0%}", ha="center",
                              va="center", color=SURFACE, weight="bold")  # fmt: skip
                left += share
        categories(axes, [wave_name(wave.wave) for wave in campaign.waves], narrow)
        axes.set_xlim(0, 1)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)

    return chart(
        f"waves-{campaign.id}",
        "How the mails of each wave were divided among the arms",
        "; ".join(
            f"{wave_name(wave.wave)}: "
            + ", ".join(f"{arm} {count(number)}" for arm, number in wave.arms.items())
            for wave in campaign.waves
        ),
        draw,
        rows=len(campaign.waves) * 1.1,
    )


def refusal_bars(reasons: Sequence[tuple[str, int]]) -> Chart:
    """How often each check said no."""

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        top = max(number for _, number in reasons)
        for row, (_, number) in enumerate(reasons):
            axes.barh(row, number, color=color(1), height=0.6)
            axes.text(number + top * 0.015, row, count(number), va="center", color=INK)
        categories(axes, [reason for reason, _ in reasons], narrow)
        axes.set_xlim(0, top * 1.12)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)

    return chart(
        "refusals",
        "Checks that proposals of models did not pass",
        "; ".join(f"{reason}: {count(number)}" for reason, number in reasons),
        draw,
        rows=len(reasons) * 1.1,
    )
