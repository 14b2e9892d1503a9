"""The report page: one HTML file that shows what campaigns did, to people who would rather look.

It fetches nothing, needs no script, and labels every number that comes from simulated recipients. What
it shows is gathered by `report_collect`; the words are templates in `templates/report`.
"""

from __future__ import annotations

import functools
import html
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from pigeonry.config import Home
from pigeonry.errors import OutsideFailure
from pigeonry.service import report_words as words
from pigeonry.service.report_data import AttemptFacts, CampaignFacts, MailFacts, ReportData
from pigeonry.store.session import Database

if TYPE_CHECKING:
    from jinja2 import Environment

# Mails are shown as mails up to this many bytes of escaped HTML, then as words; keeps the page below 3 MB.
MAIL_BYTES = 2_200_000
_OPEN_GROUPS = 2


def write_report(
    db: Database,
    home: Home,
    campaign_ids: Sequence[int],
    path: Path,
    *,
    now: datetime,
    simulated: str = "",
) -> Path:
    """Write the page about these campaigns, in their order, and return its path.

    `simulated` says that the recipients were simulated, and how; "" for real ones. The file is
    replaced as a whole: a reader never sees half a page. Raises NotFound for an unknown campaign.
    """
    from pigeonry.service.report_collect import collect

    page = render(collect(db, home, campaign_ids, now=now, simulated=simulated))
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(page, encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutsideFailure(
            f"cannot write the report: {error.strerror}",
            where=str(path),
            fix="choose another path, or make room there",
        ) from error
    return path


def render(data: ReportData) -> str:
    """The page as text. Raises TypeError where a value is missing that the page would print."""
    environment = _environment(bool(data.simulated))
    broken = words.refusals(data.campaigns)
    changes = [
        words.change(before, after)
        for before, after in zip(data.campaigns, data.campaigns[1:], strict=False)
    ]
    return environment.get_template("page.html").render(
        data=data,
        title=_title(data),
        css=Markup(_read("style.css")),  # noqa: S704 - our own file
        head=words.headline(data.campaigns, data.costs),
        clicks=sum(arm.clicks for campaign in data.campaigns for arm in campaign.arms),
        events=any(_came_back(campaign) for campaign in data.campaigns),
        mails=_groups(data.campaigns),
        changes=changes,
        broken=broken,
        proposals=sum(campaign.proposals for campaign in data.campaigns),
        charts=_charts(data, broken, changes),
    )


def _title(data: ReportData) -> str:
    names = list(dict.fromkeys(campaign.name for campaign in data.campaigns))
    return f"Campaign report: {' · '.join(names)}" if names else "Campaign report"


def _came_back(campaign: CampaignFacts) -> bool:
    return any(
        arm.opens or arm.machine_opens or arm.clicks or arm.unsubscribes or arm.complaints
        for arm in campaign.arms
    )


@dataclass(frozen=True, slots=True)
class _Charts:
    map: Any
    cost: Any
    arms: dict[int, Any]
    cells: dict[int, Any]
    waves: dict[int, Any]
    beliefs: dict[int, Any]
    refusals: Any


def _charts(
    data: ReportData, broken: Sequence[tuple[str, int]], changes: Sequence[words.Change]
) -> _Charts:
    from pigeonry.service import report_charts as draw
    from pigeonry.service import report_rates as rates

    tag = " (simulated)" if data.simulated else ""
    campaigns = data.campaigns
    return _Charts(
        map=draw.segment_map(data.map, data.segments)
        if data.map is not None and data.map.x.size and data.segments
        else None,
        cost=draw.cost_waterfall(data.costs)
        if data.costs and any(step.micros for step in data.costs.steps)
        else None,
        arms={
            campaign.id: rates.arm_rates(campaign, tag)
            if any(arm.click_rate for arm in campaign.arms)
            else None
            for campaign in campaigns
        },
        cells={
            campaign.id: rates.cell_rates(campaign, tag)
            if any(cell.click_rate for cell in campaign.cells)
            else None
            for campaign in campaigns
        },
        waves={
            campaign.id: draw.wave_shares(campaign) if campaign.waves else None
            for campaign in campaigns
        },
        beliefs={
            change.after.id: rates.belief_moves(change, tag) if change.moves else None
            for change in changes
        },
        refusals=draw.refusal_bars(broken) if broken else None,
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """The arms of one segment and language. `frames` says which mails still fit into the page."""

    segment: str
    language: str
    open: bool
    mails: tuple[MailFacts, ...]
    places: tuple[int, ...]
    frames: tuple[bool, ...]


def _groups(campaigns: Sequence[CampaignFacts]) -> list[tuple[CampaignFacts, list[_Group]]]:
    left = MAIL_BYTES
    shown: list[tuple[CampaignFacts, list[_Group]]] = []
    for campaign in campaigns:
        letters = [arm.arm for arm in campaign.arms]
        cells: dict[tuple[int, str], list[MailFacts]] = {}
        for mail in campaign.mails:
            cells.setdefault((mail.segment_id, mail.language), []).append(mail)
        groups: list[_Group] = []
        for mails in cells.values():
            frames = []
            for mail in mails:
                size = len(html.escape(mail.html).encode())
                frames.append(size <= left)
                left -= size if size <= left else 0
            groups.append(
                _Group(
                    mails[0].segment,
                    mails[0].language,
                    len(groups) < _OPEN_GROUPS and not shown,
                    tuple(mails),
                    tuple(
                        letters.index(mail.arm) if mail.arm in letters else place
                        for place, mail in enumerate(mails)
                    ),
                    tuple(frames),
                )
            )
        if groups:
            shown.append((campaign, groups))
    return shown


@functools.cache
def _environment(simulated: bool) -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    label = _label(simulated)
    environment = Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        lstrip_blocks=True,
        finalize=_never_none,
    )
    environment.globals.update(
        earned=label,
        claim=_claim(label),
        arm_of=words.arm_of,
        picked=_picked,
        share=_share,
        wave_name=words.wave_name,
        attempts_told=_attempts_told,
        languages={"ro": "Romanian", "en": "English"},
    )
    environment.filters.update(
        count=words.count,
        percent=words.percent,
        points=words.points,
        span=words.span,
        money=words.money,
        chance=words.chance,
        drawing=Markup,  # our own SVG, whose texts are escaped where it is made
    )
    return environment


def _read(name: str) -> str:
    return (files("pigeonry.templates") / "report" / name).read_text(encoding="utf-8")


def _never_none(value: object) -> object:
    if value is None:
        raise TypeError("the report would print a missing value")
    return value


def _label(simulated: bool) -> Callable[[object], Markup]:
    """Wraps a number that recipients earned; says "simulated" beside it when they were."""
    mark = Markup(' <small class="sim">simulated</small>') if simulated else Markup("")

    def earned(text: object) -> Markup:
        if text is None:
            raise TypeError("the report would print a missing value")
        return Markup('<span class="earned"><span>{}</span>{}</span>').format(escape(text), mark)

    return earned


def _claim(label: Callable[[object], Markup]) -> Callable[[str], Markup]:
    """A sentence about results: labelled when there is a number in it."""

    def claim(sentence: str) -> Markup:
        numbers = any(letter.isdigit() for letter in sentence)
        return label(sentence) if numbers else escape(sentence)

    return claim


def _attempts_told(attempts: Sequence[AttemptFacts]) -> list[AttemptFacts]:
    """Attempts with something to tell: not taken, or taken with a remark."""
    return [attempt for attempt in attempts if attempt.outcome != "accepted" or attempt.reason]


def _picked(campaign: CampaignFacts, prompt: str) -> float:
    return next(arm.probability for arm in campaign.arms if arm.prompt == prompt)


def _share(campaign: CampaignFacts, wave: int, letter: str) -> str:
    """Share of an arm in the test wave (1) or in all later waves together (2)."""
    arms: dict[str, int] = {}
    for item in campaign.waves:
        if min(item.wave, 2) == wave:
            for arm, number in item.arms.items():
                arms[arm] = arms.get(arm, 0) + number
    total = sum(arms.values())
    return words.percent(arms.get(letter, 0) / total) if total else "none yet"
