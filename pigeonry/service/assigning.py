"""Lots for a campaign's leads: holdout and test wave first, the rest to the better arms later.

Streams over the mailable audience; a batch's lots and planned messages are one transaction. Lots come
from a keyed hash and shares are stored before the first lot, so a stage that was killed in the middle and
runs again ends as if it had not been.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feedback.learn import Belief, Pooled, pool
from pigeonry.config import Home
from pigeonry.domain import HOLDOUT, Brief, Language, PlannedMessage
from pigeonry.domain.address import address_hash
from pigeonry.domain.progress import Progress, silent
from pigeonry.errors import Refused
from pigeonry.service.outcomes import priors, summarise
from pigeonry.store import assignments, campaigns, leads, messages
from pigeonry.store.campaigns import ArmPlan, CampaignRow
from pigeonry.store.session import Database
from scoring import allocate
from scoring.allocate import REST_WAVE, TEST_WAVE, Shares
from scoring.evaluate import chances_of_best
from scoring.guardrails import guardrails

_BATCH = 2000
_PROMPT_SHAPE = 20.0  # how much prompts are expected to differ, for planning (see feedback.learn)


@dataclass(frozen=True, slots=True)
class AssignReport:
    """`eligible` leads may be mailed now; `held_out` and `planned` count the whole campaign and this
    wave, earlier runs included. `shares`: segment id (as text) -> arm -> share. `without_text` leads have
    no segment or no variant, and drew no lot."""

    eligible: int
    held_out: int
    planned: int
    shares: Mapping[str, Mapping[str, float]]
    without_text: int = 0


def assign_test(
    db: Database, home: Home, campaign_id: int, *, now: datetime, progress: Progress = silent
) -> AssignReport:
    """Draw the holdout and the test wave, and plan the test wave's messages. Safe to run twice."""
    row, brief, arms = _opened(db, campaign_id)
    part = _decide(db, campaign_id, "test", lambda: _test_plan(db, row, brief, arms, now))
    share = float(part["test_share"])
    return _draw(
        db, home, row, brief, part["shares"], wave=TEST_WAVE, now=now, progress=progress,
        takes=lambda lead_id: allocate.in_test(row.seed, lead_id, share),
    )  # fmt: skip


def assign_rest(
    db: Database, home: Home, campaign_id: int, *, now: datetime, progress: Progress = silent
) -> AssignReport:
    """Give the rest to the arms that the test wave speaks for, and plan its messages.

    Safe to run twice: the shares stay as they were decided the first time. Raises Refused where every
    arm did harm.
    """
    row, brief, arms = _opened(db, campaign_id)
    part = _decide(db, campaign_id, "rest", lambda: _rest_plan(db, home, row, arms, now))
    return _draw(
        db, home, row, brief, part["shares"], wave=REST_WAVE, now=now, progress=progress,
        takes=lambda _: True,
    )  # fmt: skip


def _opened(db: Database, campaign_id: int) -> tuple[CampaignRow, Brief, dict[str, ArmPlan]]:
    from pigeonry.service.briefs import load

    row, brief = load(db, campaign_id)
    with db.read() as session:
        arms = campaigns.arms(session, campaign_id)
    if not arms:
        raise Refused(
            "its arms are not chosen yet",
            where=f"campaign {campaign_id}",
            fix="run the campaign's earlier stages first",
        )
    return row, brief, arms


def _decide(
    db: Database, campaign_id: int, name: str, make: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The part of the plan of that name; made and stored once, before any lot is drawn by it."""
    with db.read() as session:
        plan = campaigns.plan(session, campaign_id)
    if name not in plan:
        made = make()
        with db.write() as session:
            if name not in campaigns.plan(session, campaign_id):
                campaigns.add_to_plan(session, campaign_id, {name: made})
            plan = campaigns.plan(session, campaign_id)
    return dict(plan[name])


def _test_plan(
    db: Database, row: CampaignRow, brief: Brief, arms: Mapping[str, ArmPlan], now: datetime
) -> dict[str, Any]:
    with db.read() as session:
        plan = campaigns.plan(session, row.id)
        segments = sorted({segment for segment, _ in assignments.texts(session, row.id)})
        eligible = leads.count_mailable(
            session, countries=brief.countries, topic=brief.topic, now=now
        )
    before, in_segments, rate = priors(plan)
    pooled = pool([], before=before, before_cells=in_segments, rate_before=rate)
    chances = _chances(pooled, segments, arms, row.seed)
    advice = allocate.plan_test_share(
        max(2, eligible), len(arms), rate=rate, shape=_PROMPT_SHAPE, seed=row.seed
    )
    return {
        "shares": {name: allocate.first_shares(found) for name, found in chances.items()},
        "chances": chances,
        "test_share": brief.experiment.test_share,
        "holdout": brief.experiment.holdout,
        # What the simulation would have chosen; the brief decides.
        "suggested_test_share": advice.share,
        "eligible": eligible,
        "seed": row.seed,
    }


def _rest_plan(
    db: Database, home: Home, row: CampaignRow, arms: Mapping[str, ArmPlan], now: datetime
) -> dict[str, Any]:
    settings = home.settings.learning
    seen = summarise(db, row.id, mature_hours=settings.mature_hours, now=now)
    with db.read() as session:
        plan = campaigns.plan(session, row.id)
        segments = sorted({segment for segment, _ in assignments.texts(session, row.id)})
    before, in_segments, rate = priors(plan)
    pooled = pool(seen.cells, before=before, before_cells=in_segments, rate_before=rate)
    stopped: dict[str, str] = {}
    for arm, counts in seen.by_arm().items():
        for rail in guardrails(
            arm,
            sends=counts.sends,
            unsubscribed=counts.unsubscribed,
            complained=counts.complained,
        ):
            if rail.stopped:
                stopped[arm] = rail.sentence
    if set(stopped) >= set(arms):
        raise Refused(
            "every arm is stopped for harm: " + "; ".join(stopped.values()),
            where=f"campaign {row.id}",
            fix=f"look at its mails, then cancel it: `pigeonry campaign cancel {row.id}`",
        )
    knows = pooled.clicks > 0 or bool(before)
    effects = {
        str(segment): {
            arm: _belief(pooled, plan_, segment).effect if knows else 1.0
            for arm, plan_ in arms.items()
        }
        for segment in segments
    }
    return {
        "shares": {
            name: allocate.rest_shares(found, uniform_share=settings.uniform_share, stopped=stopped)
            for name, found in effects.items()
        },
        "effects": effects,
        "chances": _chances(pooled, segments, arms, row.seed + 1),
        "stopped": stopped,
        "uniform_share": settings.uniform_share,
        "sends": pooled.sends,
        "clicks": pooled.clicks,
        # Share of all clicks that are expected to be in, on average over the test wave.
        "ripe": seen.ripe,
        "seed": row.seed,
    }


def _belief(pooled: Pooled, arm: ArmPlan, segment_id: int) -> Belief:
    known = pooled.cells.get((arm.prompt, arm.version, segment_id))
    return known or pooled.prompts.get((arm.prompt, arm.version)) or Belief(1.0, _PROMPT_SHAPE)


def _chances(
    pooled: Pooled, segments: list[int], arms: Mapping[str, ArmPlan], seed: int
) -> dict[str, dict[str, float]]:
    found = {}
    for segment in segments:
        believed = {arm: _belief(pooled, plan, segment) for arm, plan in arms.items()}
        found[str(segment)] = chances_of_best(
            {arm: (belief.effect, belief.shape) for arm, belief in believed.items()},
            seed=seed + segment,
        )
    return found


def _draw(
    db: Database,
    home: Home,
    row: CampaignRow,
    brief: Brief,
    shares: Mapping[str, Shares],
    *,
    wave: int,
    takes: Callable[[int], bool],
    now: datetime,
    progress: Progress,
) -> AssignReport:
    """Draw the lots of every mailable lead that has none, is in the wave or is held out."""
    key = home.secret("suppression.key")
    holdout = brief.experiment.holdout
    with db.read() as session:
        texts = assignments.texts(session, row.id)
        eligible = leads.count_mailable(
            session, countries=brief.countries, topic=brief.topic, now=now
        )
    restricted = {
        cell: allocate.restrict(shares[str(cell[0])], found)
        for cell, found in texts.items()
        if str(cell[0]) in shares
    }
    after = done = without_text = 0
    while True:
        with db.write() as session:
            batch = leads.mailable(
                session,
                countries=brief.countries,
                topic=brief.topic,
                after_id=after,
                limit=_BATCH,
                now=now,
            )
            drawn = assignments.drawn(session, row.id, [lead.id for lead in batch])
            lots, planned = [], []
            for lead in batch:
                if lead.id in drawn:
                    continue
                out = allocate.held_out(row.seed, lead.id, holdout)
                if not out and not takes(lead.id):
                    continue
                cell = (lead.segment_id or 0, _language(brief, lead.language))
                if not restricted.get(cell) or lead.segment_id is None:
                    without_text += 1
                    continue
                lot = allocate.assign(
                    seed=row.seed,
                    lead_id=lead.id,
                    segment_id=lead.segment_id,
                    wave=wave,
                    shares=restricted[cell],
                    holdout=holdout,
                )
                lots.append(lot)
                if lot.arm != HOLDOUT:
                    planned.append(
                        PlannedMessage(
                            campaign_id=row.id,
                            lead_id=lead.id,
                            variant_id=texts[cell][lot.arm],
                            wave=wave,
                            address_hash=address_hash(lead.email, key),
                            channel=row.channel,
                            occurrence=row.occurrence,
                        )
                    )
            assignments.add(session, row.id, lots, now)
            messages.plan(session, planned, now)
        if not batch:
            break
        after = batch[-1].id
        done += len(batch)
        progress("lots drawn", done, eligible)
    with db.read() as session:
        counts = assignments.counts(session, row.id)
        held_out = assignments.held_out(session, row.id)
    return AssignReport(
        eligible=eligible,
        held_out=held_out,
        planned=sum(c.leads for c in counts if c.wave == wave),
        shares=shares,
        without_text=without_text,
    )


def _language(brief: Brief, stated: Language | None) -> str:
    return str(stated if stated in brief.languages else brief.languages[0])
