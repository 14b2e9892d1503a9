"""What the results page shows of a campaign beside its numbers: names, costs, what was believed before and is
believed now, and the same numbers as a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from audience.formula import neutralise
from pigeonry.config import Home
from pigeonry.domain import HOLDOUT, Interval, Posterior
from pigeonry.errors import Refused
from pigeonry.service.costs import CostReport, cost_report
from pigeonry.service.homes import simulated
from pigeonry.service.outcomes import believed, credible
from pigeonry.service.results import CampaignResults
from pigeonry.service.results_kept import SeenResults, seen_results
from pigeonry.store import campaigns, messages, posteriors, segments
from pigeonry.store.campaigns import ArmPlan, CampaignRow
from pigeonry.store.session import Database
from scoring.evaluate import Contrast

PAGE = 50  # campaigns of the list
_ROW = (
    "table", "segment", "arm", "prompt", "wave", "leads", "sends", "delivered", "opens", "machine_opens",
    "clicks", "unsubscribes", "complaints", "bounces", "rate", "low", "high", "p_best",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listed:
    """A campaign of the list; `sent` is how many mails left."""

    row: CampaignRow
    sent: int


@dataclass(frozen=True, slots=True)
class Move:
    """What was believed of an arm's prompt when the campaign chose it, and is now (None: nothing)."""

    arm: str
    prompt: str
    before: Interval | None
    now: Interval | None


@dataclass(frozen=True, slots=True)
class Wave:
    """Leads and share of each arm in a wave: 1 the test, 2 and on the rest."""

    wave: int
    leads: Mapping[str, int]

    def share(self, arm: str) -> float:
        return self.leads.get(arm, 0) / (sum(self.leads.values()) or 1)


@dataclass(frozen=True, slots=True)
class ResultsPage:
    """`seen` is None while a large campaign's results were never worked out. `contrasts` name the leader
    first where it takes part. `simulated`: the recipients are no people."""

    row: CampaignRow
    seen: SeenResults | None
    contrasts: tuple[Contrast, ...]
    waves: tuple[Wave, ...]
    costs: CostReport
    moves: tuple[Move, ...]
    names: Mapping[int, str]
    simulated: bool


def listed(db: Database, *, before: int | None = None) -> list[Listed]:
    """Campaigns, the newest first, one page of them."""
    with db.read() as session:
        rows = campaigns.page(session, before=before, limit=PAGE)
        sent = messages.accepted(session, [row.id for row in rows])
    return [Listed(row, sent.get(row.id, 0)) for row in rows]


def find(db: Database, campaign_id: int) -> CampaignRow:
    """Raises NotFound."""
    with db.read() as session:
        return campaigns.get(session, campaign_id)


def results_page(db: Database, home: Home, campaign_id: int, *, now: datetime) -> ResultsPage:
    """Raises NotFound."""
    seen = seen_results(db, home, campaign_id, now=now)
    with db.read() as session:
        row = campaigns.get(session, campaign_id)
        arms = campaigns.arms(session, campaign_id)
        plan = campaigns.plan(session, campaign_id)
        known = posteriors.every(session)
        names = segments.names(session)
    return ResultsPage(
        row=row,
        seen=seen,
        contrasts=tuple(_led(pair, seen.results.leader) for pair in seen.results.contrasts)
        if seen
        else (),
        waves=_waves(seen.results) if seen else (),
        costs=cost_report(db, campaign_id, now=now),
        moves=_moves(arms, believed(plan), known),
        names=names,
        simulated=bool(simulated(home)),
    )


def results_csv(db: Database, home: Home, campaign_id: int, *, now: datetime) -> str:
    """Every number of the page as a table, one row for each arm, arm in a segment, and wave. No cell can
    run in a spreadsheet. Raises NotFound, or Refused while the results were never worked out."""
    seen = seen_results(db, home, campaign_id, now=now)
    if seen is None:
        raise Refused(
            "the results of this campaign were not worked out yet",
            where=f"campaign {campaign_id}",
            fix="press the button on its page, and come again when that job is done",
        )
    with db.read() as session:
        names = segments.names(session)
    text = io.StringIO()
    writer = csv.DictWriter(text, _ROW, restval="")
    writer.writeheader()
    for cells in _rows(seen.results, names):
        writer.writerow({name: neutralise(str(value)) for name, value in cells.items()})
    return text.getvalue()


def _rows(results: CampaignResults, names: Mapping[int, str]) -> Iterator[Mapping[str, object]]:
    for arm in results.arms:
        seen = arm.counts
        yield {
            "table": "arm", "arm": arm.arm, "prompt": arm.prompt, "sends": seen.sends,
            "delivered": seen.delivered, "opens": seen.opened, "machine_opens": arm.machine_opens,
            "clicks": seen.clicked, "unsubscribes": seen.unsubscribed,
            "complaints": seen.complained, "bounces": seen.bounced, "p_best": arm.p_best,
            **_interval(arm.click_rate),
        }  # fmt: skip
    for cell in results.cells:
        yield {
            "table": "segment", "segment": names.get(cell.segment_id, cell.segment_id),
            "arm": cell.arm, "prompt": cell.prompt, "sends": cell.sends, "clicks": cell.clicks,
            "p_best": cell.p_best, **_interval(cell.click_rate),
        }  # fmt: skip
    for wave in results.waves:
        for name, leads in wave.leads.items():
            yield {"table": "wave", "wave": wave.wave, "arm": name, "leads": leads}
    if results.holdout.lift:
        yield {"table": "lift against the holdout", **_interval(results.holdout.lift)}


def _interval(found: Interval) -> dict[str, float]:
    return {"rate": found.estimate, "low": found.low, "high": found.high}


def _led(pair: Contrast, leader: str) -> Contrast:
    if pair.second != leader:
        return pair
    gap = pair.interval
    return Contrast(
        pair.second, pair.first, Interval(-gap.estimate, -gap.high, -gap.low, gap.level)
    )


def _waves(results: CampaignResults) -> tuple[Wave, ...]:
    return tuple(
        Wave(wave.wave, arms)
        for wave in results.waves
        if (arms := {arm: n for arm, n in wave.leads.items() if arm != HOLDOUT})
    )


def _moves(
    arms: Mapping[str, ArmPlan], before: Sequence[Posterior], now: Sequence[Posterior]
) -> tuple[Move, ...]:
    def rate(known: Sequence[Posterior], plan: ArmPlan) -> Interval | None:
        found = (b for b in known if (b.prompt, b.prompt_version) == (plan.prompt, plan.version))
        belief = next((b for b in found if not b.segment_id and b.sends), None)
        return credible(belief) if belief else None

    return tuple(
        Move(arm, plan.prompt, rate(before, plan), rate(now, plan)) for arm, plan in arms.items()
    )
