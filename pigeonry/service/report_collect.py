"""Gathers what the report page shows from the services and the store. Computes nothing of its own but
sums, and knows no HTML.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

from pigeonry import __version__
from pigeonry.config import Home
from pigeonry.domain import HOLDOUT, Interval, MessageState
from pigeonry.errors import PigeonryError
from pigeonry.service.briefs import load
from pigeonry.service.outcomes import believed, credible
from pigeonry.service.report_data import (
    ArmFacts,
    BeliefFacts,
    CampaignFacts,
    CellFacts,
    ContrastFacts,
    CostFacts,
    CostStepFacts,
    GuardrailFacts,
    HoldoutFacts,
    MapFacts,
    ReportData,
    SegmentFacts,
    WaveFacts,
)
from pigeonry.service.report_mails import mails_of, writing_of
from pigeonry.service.results import ArmResult, CampaignResults, CellResult, campaign_results
from pigeonry.store import assignments, campaigns, messages
from pigeonry.store.session import Database
from scoring.evaluate import Contrast

_SHOWN = ("SQLAlchemy", "scikit-learn", "prefect", "matplotlib")
_WAITING = (MessageState.PLANNED, MessageState.CLAIMED, MessageState.HANDING_OVER)
_MAP_POINTS = 1500
_MAP_SEED = 7


def collect(
    db: Database,
    home: Home,
    campaign_ids: Sequence[int],
    *,
    now: datetime,
    simulated: str = "",
) -> ReportData:
    """Read everything about these campaigns, in their order. Raises NotFound for an unknown one."""
    from pigeonry.service.segments import list_segments

    segments = list_segments(db)
    names = {segment.id: segment.name for segment in segments}
    gaps: dict[str, str] = {}
    found = tuple(_campaign(db, home, number, names, now) for number in campaign_ids)
    answered: dict[int, list[int]] = {}
    for _, results in found:
        for cell in results.cells:
            total = answered.setdefault(cell.segment_id, [0, 0])
            total[0] += cell.sends
            total[1] += cell.clicks
    return ReportData(
        made_at=now,
        version=__version__,
        versions={"Python": platform.python_version()} | {name: version(name) for name in _SHOWN},
        segments=tuple(
            SegmentFacts(
                segment.id,
                segment.name,
                segment.description,
                segment.size,
                *answered.get(segment.id, (0, 0)),
            )
            for segment in segments
        ),
        map=_map(db, home, gaps) if segments else None,
        campaigns=tuple(facts for facts, _ in found),
        costs=_costs(db, campaign_ids, now),
        simulated=simulated,
        gaps=gaps,
    )


def _campaign(
    db: Database, home: Home, number: int, names: Mapping[int, str], now: datetime
) -> tuple[CampaignFacts, CampaignResults]:
    row, brief = load(db, number)
    results = campaign_results(
        db, number, now=now, mature_hours=home.settings.learning.mature_hours
    )
    with db.read() as session:
        counts = messages.counts(session, number)
        held_out = assignments.held_out(session, number)
        plan = campaigns.plan(session, number)
    writing = writing_of(db, row, brief)
    choice: Mapping[str, Any] = plan.get("choice", {})
    heard = any(_heard(arm) for arm in results.arms)
    facts = CampaignFacts(
        id=row.id,
        name=row.name,
        occurrence=row.occurrence,
        stage=row.stage,
        state=row.state,
        channel=row.channel,
        seed=row.seed,
        created_at=row.created_at,
        held_out=held_out,
        sent=counts.get(MessageState.ACCEPTED, 0),
        failed=counts.get(MessageState.FAILED, 0),
        cancelled=counts.get(MessageState.CANCELLED, 0),
        parked=counts.get(MessageState.PARKED, 0) + counts.get(MessageState.UNKNOWN, 0),
        waiting=sum(counts.get(state, 0) for state in _WAITING),
        cost_micros=writing.cost_micros,
        currency=writing.currency,
        calls=writing.calls,
        cache_hits=writing.cache_hits,
        model_seconds=writing.seconds,
        local_model=writing.local_model,
        writing_note=writing.note,
        refused=writing.broken,
        refused_proposals=writing.refused,
        proposals=writing.proposals,
        score_note=str(row.notes.get("score", {}).get("note", "")),
        arms=tuple(_arm(arm, heard) for arm in results.arms),
        contrasts=tuple(_contrast(pair, results.leader) for pair in results.contrasts if heard),
        cells=tuple(
            _cell(cell, names, heard)
            for cell in sorted(results.cells, key=lambda cell: _place(names, cell.segment_id))
        ),
        waves=_waves(results),
        guardrails=tuple(
            GuardrailFacts(
                rail.arm,
                rail.name,
                "stopped" if rail.stopped else "watch" if rail.watch else "kept",
                rail.rate,
                rail.limit,
            )
            for rail in results.guardrails
            if heard
        ),
        holdout=HoldoutFacts(
            results.holdout.size,
            results.holdout.share,
            results.holdout.lift,
            results.holdout.claim,
        ),
        leader=results.leader,
        winner=results.winner,
        verdict=results.verdict,
        ripe=results.ripe if heard else 1.0,
        mails=mails_of(db, home, row, brief, names),
        beliefs=_beliefs(plan, results, names),
        weights={name: float(weight) for name, weight in choice.get("weights", {}).items()},
        prior_sends=int(choice.get("prior_sends", 0)),
    )
    return facts, results


def _heard(arm: ArmResult) -> bool:
    """Whether anything at all has come back: before that, 0 clicks are no finding."""
    seen = arm.counts
    return any(
        (
            seen.delivered,
            seen.opened,
            seen.clicked,
            seen.unsubscribed,
            seen.complained,
            seen.bounced,
            arm.machine_opens,
        )
    )


def _arm(arm: ArmResult, heard: bool) -> ArmFacts:
    known = heard and arm.counts.sends > 0
    return ArmFacts(
        arm=arm.arm,
        prompt=arm.prompt,
        version=arm.version,
        probability=arm.probability,
        sends=arm.counts.sends,
        opens=arm.counts.opened,
        machine_opens=arm.machine_opens,
        clicks=arm.counts.clicked,
        unsubscribes=arm.counts.unsubscribed,
        complaints=arm.counts.complained,
        open_rate=arm.open_rate if known else None,
        click_rate=arm.click_rate if known else None,
        p_best=arm.p_best if heard else None,
    )


def _contrast(pair: Contrast, leader: str) -> ContrastFacts:
    """With the leader named first where it takes part."""
    gap = pair.interval
    if pair.second == leader:
        gap = Interval(-gap.estimate, -gap.high, -gap.low, gap.level)
        return ContrastFacts(pair.second, pair.first, gap, pair.shown)
    return ContrastFacts(pair.first, pair.second, gap, pair.shown)


def _cell(cell: CellResult, names: Mapping[int, str], heard: bool) -> CellFacts:
    return CellFacts(
        segment=_name(names, cell.segment_id),
        arm=cell.arm,
        prompt=cell.prompt,
        sends=cell.sends,
        clicks=cell.clicks,
        click_rate=cell.click_rate if heard and cell.sends else None,
        p_best=cell.p_best if heard else None,
    )


def _waves(results: CampaignResults) -> tuple[WaveFacts, ...]:
    return tuple(
        WaveFacts(wave.wave, arms)
        for wave in results.waves
        if (arms := {arm: n for arm, n in wave.leads.items() if arm != HOLDOUT})
    )


def _beliefs(
    plan: Mapping[str, Any], results: CampaignResults, names: Mapping[int, str]
) -> tuple[BeliefFacts, ...]:
    """What was believed when this campaign chose: one text a prompt, its arm's or else its best known."""
    known = [belief for belief in believed(plan) if belief.prompt]
    current = {
        belief.prompt: belief.prompt_version
        for belief in sorted(known, key=lambda belief: belief.sends)
    } | {arm.prompt: arm.version for arm in results.arms}
    shown = [belief for belief in known if belief.prompt_version == current[belief.prompt]]
    return tuple(
        BeliefFacts(
            prompt=belief.prompt,
            version=belief.prompt_version,
            segment=_name(names, belief.segment_id) if belief.segment_id else "",
            rate=credible(belief),
            sends=belief.sends,
            clicks=belief.clicks,
        )
        for belief in sorted(
            shown, key=lambda belief: (belief.prompt, _place(names, belief.segment_id))
        )
    )


def _place(names: Mapping[int, str], segment_id: int) -> int:
    """Largest segment first, as `names` has them; all segments together (0) before, retired ones last."""
    return (
        list(names).index(segment_id) if segment_id in names else len(names) if segment_id else -1
    )


def _name(names: Mapping[int, str], segment_id: int) -> str:
    return names.get(segment_id, f"segment {segment_id}, which is no more")


def _map(db: Database, home: Home, gaps: dict[str, str]) -> MapFacts | None:
    from pigeonry.service.segments import segment_map

    try:
        found = segment_map(db, home, sample=_MAP_POINTS, seed=_MAP_SEED)
    except PigeonryError as error:  # the page says it in the map's place
        gaps["map"] = f"There is no map: {error.what}."
        return None
    return MapFacts(found.x, found.y, found.segment_ids)


def _costs(db: Database, campaign_ids: Sequence[int], now: datetime) -> CostFacts | None:
    """The waterfall of these campaigns together."""
    from pigeonry.service.costs import cost_report

    with db.read() as session:
        everything = {row.id for row in campaigns.every(session)}
    if not campaign_ids:
        return None
    if len(campaign_ids) > 1 and set(campaign_ids) == everything:
        return cost_report(db, now=now)
    reports = [cost_report(db, number, now=now) for number in campaign_ids]
    return CostFacts(
        currency=reports[0].currency,
        steps=tuple(
            CostStepFacts(
                same[0].name,
                "; ".join(dict.fromkeys(step.explanation for step in same)),
                sum(step.micros for step in same),
            )
            for same in zip(*(report.steps for report in reports), strict=True)
        ),
        prices=reports[0].prices,
        note=reports[0].note,
    )
