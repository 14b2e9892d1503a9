"""Charts of rates: a mark for the estimate, a line for its interval. No words of the page but labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pigeonry.domain.experiment import Interval
from pigeonry.service.report_data import CampaignFacts
from pigeonry.service.report_svg import (
    MUTED,
    SURFACE,
    Chart,
    categories,
    chart,
    color,
    plain,
    shape,
)
from pigeonry.service.report_words import Change, percent, span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def arm_rates(campaign: CampaignFacts, tag: str) -> Chart:
    """Click rate of each arm with the interval that holds at every look."""
    arms = [arm for arm in campaign.arms if arm.click_rate is not None]

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        for row, arm in enumerate(arms):
            assert arm.click_rate is not None
            _error_bar(axes, row, arm.click_rate, row)
        categories(axes, [f"{arm.arm} {arm.prompt}" for arm in arms], narrow)
        _rate_axis(axes, f"click rate{tag}")

    return chart(
        f"arms-{campaign.id}",
        f"Click rate of each arm{tag}",
        "; ".join(
            f"{arm.arm} {arm.prompt}: {percent(arm.click_rate.estimate)}, "
            f"between {span(arm.click_rate)}{tag}"
            for arm in arms
            if arm.click_rate
        ),
        draw,
        rows=len(arms) * 1.1,
    )


def cell_rates(campaign: CampaignFacts, tag: str) -> Chart:
    """Click rate of each arm in each segment."""
    cells = [cell for cell in campaign.cells if cell.click_rate is not None]
    names = list(dict.fromkeys(cell.segment for cell in cells))
    letters = list(dict.fromkeys(cell.arm for cell in campaign.cells))
    labels = {cell.arm: f"{cell.arm} {cell.prompt}" for cell in cells}

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        step = 0.7 / max(1, len(letters))
        for cell in cells:
            assert cell.click_rate is not None
            place = letters.index(cell.arm)
            row = names.index(cell.segment) + (place - (len(letters) - 1) / 2) * step
            _error_bar(axes, row, cell.click_rate, place)
        for letter in letters:
            place = letters.index(letter)
            axes.plot([], [], marker=shape(place), color=color(place), linestyle="none",
                      label=plain(labels.get(letter, letter)))  # fmt: skip
        categories(axes, names, narrow)
        _rate_axis(axes, f"click rate{tag}")
        _legend(figure, axes, narrow)

    return chart(
        f"cells-{campaign.id}",
        f"Click rate of each arm in each segment{tag}",
        "; ".join(
            f"{cell.segment}, {cell.arm}: {percent(cell.click_rate.estimate)}{tag}"
            for cell in cells
            if cell.click_rate
        ),
        draw,
        rows=len(names) * (0.6 + 0.4 * len(letters)),
    )


def belief_moves(change: Change, tag: str) -> Chart:
    """Hollow: believed before, where anything was. Filled, with its interval: believed after."""
    moves = change.moves

    def draw(figure: Figure, narrow: bool) -> None:
        axes = figure.subplots()
        prompts = list(dict.fromkeys(move.prompt for move in moves))
        for row, move in enumerate(moves):
            place = prompts.index(move.prompt)
            if move.before is not None:
                axes.plot(
                    [move.before.estimate, move.after.estimate],
                    [row + 0.2, row],
                    color=MUTED,
                    linewidth=1,
                )
                axes.plot(
                    move.before.estimate,
                    row + 0.2,
                    marker=shape(place),
                    markersize=6,
                    markerfacecolor="none",
                    color=color(place),
                )
            _error_bar(axes, row, move.after, place)
        categories(axes, [move.segment or f"{move.prompt}: all segments" for move in moves], narrow)
        for label in axes.get_yticklabels():
            if label.get_text().replace("\n", " ").endswith(": all segments"):
                label.set_fontweight("bold")
        _rate_axis(axes, f"believed click rate{tag}")

    return chart(
        f"beliefs-{change.after.id}",
        f"What was believed of each prompt before and after{tag}",
        "; ".join(
            f"{move.prompt}, {move.segment or 'all segments'}: "
            f"{percent(move.before.estimate) if move.before else 'nothing known'} before, "
            f"{percent(move.after.estimate)} after{tag}"
            for move in moves
        ),
        draw,
        rows=len(moves) * 1.1,
    )


def _error_bar(axes: Axes, row: float, interval: Interval, place: int) -> None:
    axes.plot([interval.low, interval.high], [row, row], color=color(place), linewidth=2.2,
              solid_capstyle="round")  # fmt: skip
    axes.plot(interval.estimate, row, marker=shape(place), markersize=7, color=color(place),
              markeredgecolor=SURFACE, markeredgewidth=0.8)  # fmt: skip


def _rate_axis(axes: Axes, label: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    formatter: Any = FuncFormatter(lambda value, _place: f"{value * 100:.3g} %")
    axes.xaxis.set_major_formatter(formatter)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="x", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(left=min(0.0, axes.get_xlim()[0]) if axes.get_xlim()[0] < 0 else 0.0)
    axes.set_xlabel(label)
    axes.spines["bottom"].set_visible(False)


def _legend(figure: Figure, axes: Axes, narrow: bool) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside upper left",
        ncols=1 if narrow else max(1, len(labels)),
        frameon=False,
        handletextpad=0.3,
    )
