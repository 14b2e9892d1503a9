"""Groups of leads: a map, their sizes, how they answered, and what each has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from fastapi import Response

from pigeonry.service import jobs, segment_pages
from pigeonry.service.segment_pages import SegmentBoard
from pigeonry.web.auth import EDIT, VIEW, Console, Nav, TheVisit

router = Console(nav=Nav("/segments", "segments.nav"))

_WIDE, _HIGH, _EDGE = 760, 440, 24  # of the map, in its own units
_TONES = 6


@router.page("/segments", may=VIEW)
def index(visit: TheVisit) -> Response:
    board = segment_pages.segment_board(visit.db)
    under_way = jobs.listed(visit.db, subject=_SUBJECT, only_open=True, limit=1)
    return visit.page("segments", board=board, groups=_groups(board), under_way=under_way)


@router.page("/segments/{segment_id}", may=VIEW)
def show(visit: TheVisit, segment_id: int) -> Response:
    return visit.page("segment", found=segment_pages.segment_detail(visit.db, segment_id))


@router.action("/segments/refresh", may=EDIT)
def refresh(visit: TheVisit) -> Response:
    """Embed what changed, fit when it is due and put every lead somewhere, in a process of its own."""
    job = jobs.ask(
        visit.db, visit.home, "segments", {}, subject=_SUBJECT, by=visit.actor, now=visit.now
    )
    visit.audit("segments.refresh", f"job:{job.id}")
    return visit.go(f"/jobs/{job.id}")


_SUBJECT = "segments"


@dataclass(frozen=True, slots=True)
class _Group:
    """One segment on the map: `dots` is an SVG path of points, the number stands at their middle."""

    number: int
    tone: int
    dots: str
    x: float
    y: float


def _groups(board: SegmentBoard) -> list[_Group]:
    """Numbered as the table is: the largest first."""
    if not board.points:
        return []
    across = _scale([point.x for point in board.points], _WIDE)
    up = _scale([point.y for point in board.points], _HIGH)
    groups = []
    for number, row in enumerate(board.rows, 1):
        own = [point for point in board.points if point.segment_id == row.segment.id]
        if not own:
            continue
        places = [(_placed(point.x, across), _HIGH - _placed(point.y, up)) for point in own]
        groups.append(
            _Group(
                number,
                (number - 1) % _TONES + 1,
                "".join(f"M{x:.0f} {y:.0f}h0" for x, y in places),
                round(median(x for x, _ in places), 1),
                round(median(y for _, y in places), 1),
            )
        )
    return groups


def _scale(values: Sequence[float], length: int) -> tuple[float, float]:
    """Lowest value, and units of the map for each of one."""
    low, high = min(values), max(values)
    return low, (length - 2 * _EDGE) / ((high - low) or 1.0)


def _placed(value: float, scale: tuple[float, float]) -> float:
    return _EDGE + (value - scale[0]) * scale[1]
