"""Turns a matplotlib figure into an SVG that lives inside a page: it takes the page's colours and font,
says what it shows to a screen reader, and fetches nothing.
"""

from __future__ import annotations

import html
import io
import re
import textwrap
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that matplotlib draws with and that become CSS variables, so that one drawing suits light and
# dark pages. No real colour looks like these.
INK, MUTED, GRID, SURFACE = "#000001", "#000002", "#000003", "#000004"
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--line", SURFACE: "--card"}
SERIES = tuple(f"#0000a{number}" for number in range(10))
_VARIABLES |= {color: f"--c{number}" for number, color in enumerate(SERIES)}
# Shapes tell series apart where colours cannot.
SHAPES = ("o", "s", "^", "D", "v", "P", "X", "p", "h", "*")

WIDE, NARROW = 7.8, 3.9  # inches; a page shows the one that suits its width


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing at two widths. `title` and `description` are its accessible name and text."""

    title: str
    description: str
    wide: str
    narrow: str


Draw = Callable[["Figure", bool], None]


def chart(name: str, title: str, description: str, draw: Draw, *, rows: float = 0.0) -> Chart:
    """Draw twice: `draw(figure, narrow)`. `rows` counts the lines of a bar chart and sets its height."""
    sizes = {
        False: (WIDE, 1.0 + 0.42 * rows if rows else 4.4),
        True: (NARROW, 1.1 + 0.5 * rows if rows else 3.9),
    }
    wide, narrow = (
        _svg(f"{name}-{'n' if small else 'w'}", title, description, draw, small, sizes[small])
        for small in (False, True)
    )
    return Chart(title, description, wide, narrow)


def color(number: int) -> str:
    return SERIES[number % len(SERIES)]


def shape(number: int) -> str:
    return SHAPES[number % len(SHAPES)]


def plain(text: str) -> str:
    """Without control characters, which no drawing can show."""
    return "".join(letter for letter in text if letter.isprintable())


def categories(axes: Axes, names: Sequence[str], narrow: bool) -> None:
    """Name the rows of a bar chart, first row on top; long names take up to three lines."""
    wide = 17 if narrow else 34
    axes.set_yticks(
        range(len(names)),
        [textwrap.fill(plain(name), wide, max_lines=3, placeholder="…") for name in names],
    )
    axes.set_ylim(len(names) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _svg(
    name: str, title: str, description: str, draw: Draw, narrow: bool, size: tuple[float, float]
) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": name,  # the same data give the same bytes
            "text.parse_math": False,  # a "$" in a name is a "$"
            "font.size": 9,
            "text.color": INK,
            "axes.labelcolor": MUTED,
            "axes.edgecolor": GRID,
            "axes.facecolor": "none",
            "xtick.color": MUTED,
            "ytick.color": INK,
            "grid.color": GRID,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    ):
        figure = Figure(figsize=size, layout="constrained", facecolor="none")
        buffer = io.StringIO()
        with warnings.catch_warnings():
            # Letters that matplotlib's own font lacks are drawn by the browser's.
            warnings.filterwarnings("ignore", message="Glyph .* missing")
            draw(figure, narrow)
            figure.savefig(buffer, format="svg", transparent=True)
    return _embed(buffer.getvalue(), name, title, description)


def _embed(svg: str, name: str, title: str, description: str) -> str:
    body = svg[svg.index("<svg") :]
    for part in (r"<metadata>.*?</metadata>", r"<!--.*?-->", r"<style.*?</style>"):
        body = re.sub(part, "", body, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]+)"', body)
    assert view is not None
    body = body[body.index(">") + 1 :]
    body = re.sub(r"<[^>]+>", lambda tag: _tag(tag[0], name), body)  # never the words between tags
    body = re.sub(r"\n\s*", "\n", body)
    return (
        f'<svg viewBox="{view[1]}" role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{html.escape(title)}</title>'
        f'<desc id="{name}-desc">{html.escape(description)}</desc>{body}'
    )


def _tag(tag: str, name: str) -> str:
    if tag.startswith("<g "):
        tag = re.sub(r' id="[^"]+"', "", tag)
    tag = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', tag)  # unique on the whole page
    tag = re.sub(r'(?:xlink:)?href="#([^"]+)"', rf'href="#{name}-\1"', tag)
    tag = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", tag)
    for value, variable in _VARIABLES.items():
        tag = tag.replace(value, f"var({variable})")
    tag = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", tag)
    return re.sub(r"(\d+\.\d{2})\d+", r"\1", tag)
