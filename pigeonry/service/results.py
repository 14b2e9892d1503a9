"""What a campaign earned and what may be said about it: rates, intervals, guardrails, allocation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feedback.learn import Belief, Pooled, pool
from feedback.machines import HUMAN_FLOOR
from feedback.report import Tally
from pigeonry.domain import Interval
from pigeonry.service.lift import HoldoutResult, holdout_result
from pigeonry.service.outcomes import Summary, priors, summarise
from pigeonry.store import assignments, campaigns, engagement
from pigeonry.store.assignments import LotCount
from pigeonry.store.campaigns import ArmPlan, CampaignRow
from pigeonry.store.session import Database
from scoring.evaluate import (
    ArmCount,
    Contrast,
    chances_of_best,
    contrasts,
    lift_sentence,
    rate_interval,
    winner,
)
from scoring.guardrails import Guardrail, guardrails

_UNKNOWN = Belief(1.0, 20.0)


@dataclass(frozen=True, slots=True)
class ArmResult:
    """One arm, as it went. Opens and clicks are people's; `machine_opens` counts mails that only machines
    opened. `probability` is the chance with which the lot picked its prompt; intervals hold at every look.
    Rates of different arms mix waves and segments differently: `contrasts` compare them, these do not."""

    arm: str
    prompt: str
    version: str
    probability: float
    counts: Tally
    machine_opens: int
    open_rate: Interval
    click_rate: Interval
    p_best: float


@dataclass(frozen=True, slots=True)
class CellResult:
    """One arm in one segment. `effect` is what is believed of it against arms at large (1 = the same)."""

    segment_id: int
    arm: str
    prompt: str
    sends: int
    clicks: int
    click_rate: Interval
    effect: float
    p_best: float


@dataclass(frozen=True, slots=True)
class WaveResult:
    """How many leads drew each arm in a wave (0 = held out, 1 = test, 2 = the rest), and the share each
    arm was given in each segment."""

    wave: int
    leads: Mapping[str, int]
    shares: Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class CampaignResults:
    """Everything that may be said now. `lift` compares the leading arm with `rival`, the one that comes
    closest, as a difference of click rates; `lift_shown` needs it to beat every other arm. `ripe` is the share of all
    clicks that are expected to be in."""

    campaign_id: int
    name: str
    state: str
    sends: int
    clicks: int
    arms: tuple[ArmResult, ...]
    cells: tuple[CellResult, ...]
    waves: tuple[WaveResult, ...]
    contrasts: tuple[Contrast, ...]
    guardrails: tuple[Guardrail, ...]
    holdout: HoldoutResult
    leader: str
    winner: str
    rival: str
    lift: Interval | None
    lift_shown: bool
    verdict: str
    ripe: float

    def lines(self) -> list[str]:
        """The report as text."""
        title = f"campaign {self.campaign_id}  {self.name}  [{self.state}]"
        said = [
            f"{title}: {self.sends:,} sent, {self.clicks:,} human clicks, {self.holdout.size:,} held out"
        ]
        for arm in self.arms:
            rate = arm.click_rate
            said.append(
                f"  {arm.arm}  {arm.prompt:<20} {arm.counts.sends:>7,} sent  "
                f"{arm.counts.clicked:>6,} clicked  {rate.estimate:7.2%}  "
                f"({rate.low:.2%} to {rate.high:.2%})  P(best) {arm.p_best:.2f}"
            )
        said.append(f"  {self.verdict}")
        if 0 < self.ripe < 0.95:
            said.append(f"  About {self.ripe:.0%} of all clicks are in by now.")
        said.append(f"  {self.holdout.claim}")
        said += [f"  {rail.sentence}" for rail in self.guardrails if rail.stopped or rail.watch]
        return said

    def to_json(self) -> dict[str, Any]:
        return {
            "campaign": self.campaign_id,
            "name": self.name,
            "sent": self.sends,
            "clicks": self.clicks,
            "held_out": self.holdout.size,
            "arms": [
                {
                    "arm": a.arm,
                    "prompt": a.prompt,
                    "version": a.version,
                    "probability": a.probability,
                    "sends": a.counts.sends,
                    "delivered": a.counts.delivered,
                    "opens": a.counts.opened,
                    "machine_opens": a.machine_opens,
                    "clicks": a.counts.clicked,
                    "unsubscribes": a.counts.unsubscribed,
                    "complaints": a.counts.complained,
                    "bounces": a.counts.bounced,
                    "open_rate": a.open_rate.estimate,
                    "open_interval": [a.open_rate.low, a.open_rate.high],
                    "rate": a.click_rate.estimate,
                    "interval": [a.click_rate.low, a.click_rate.high],
                    "p_best": a.p_best,
                }
                for a in self.arms
            ],
            "segments": [
                {
                    "segment": c.segment_id,
                    "arm": c.arm,
                    "prompt": c.prompt,
                    "sends": c.sends,
                    "clicks": c.clicks,
                    "rate": c.click_rate.estimate,
                    "interval": [c.click_rate.low, c.click_rate.high],
                    "effect": c.effect,
                    "p_best": c.p_best,
                }
                for c in self.cells
            ],
            "waves": [
                {"wave": w.wave, "leads": dict(w.leads), "shares": w.shares} for w in self.waves
            ],
            "leader": self.leader,
            "winner": self.winner,
            "rival": self.rival,
            "lift": self.lift.estimate if self.lift else None,
            "interval": [self.lift.low, self.lift.high] if self.lift else None,
            "lift_shown": self.lift_shown,
            "verdict": self.verdict,
            "holdout": {
                "size": self.holdout.size,
                "share": self.holdout.share,
                "lift": self.holdout.lift.estimate if self.holdout.lift else None,
                "interval": [self.holdout.lift.low, self.holdout.lift.high]
                if self.holdout.lift
                else None,
                "converted": self.holdout.converted,
                "converted_without": self.holdout.converted_without,
                "claim": self.holdout.claim,
            },
            "guardrails": [
                {
                    "arm": r.arm,
                    "name": r.name,
                    "ok": not r.stopped,
                    "watch": r.watch,
                    "rate": r.rate.estimate,
                    "interval": [r.rate.low, r.rate.high],
                    "limit": r.limit,
                    "detail": r.sentence,
                }
                for r in self.guardrails
            ],
            "ripe": self.ripe,
        }


def campaign_results(
    db: Database,
    campaign_id: int,
    *,
    now: datetime,
    mature_hours: float = 24.0,
    conversion_days: float = 7.0,
) -> CampaignResults:
    """Read a campaign's results as they are now; looking often costs nothing in certainty.

    Raises NotFound for an unknown campaign.
    """
    with db.read() as session:
        row = campaigns.get(session, campaign_id)
        arms = campaigns.arms(session, campaign_id)
        plan = campaigns.plan(session, campaign_id)
        lots = assignments.counts(session, campaign_id)
        machines = engagement.machine_opens(session, campaign_id, HUMAN_FLOOR)
        holdout = holdout_result(session, campaign_id, lots, days=conversion_days, now=now)
    seen = summarise(db, campaign_id, mature_hours=mature_hours, now=now)
    before, in_segments, rate = priors(plan)
    pooled = pool(seen.cells, before=before, before_cells=in_segments, rate_before=rate)
    return _results(row, arms, plan, lots, machines, holdout, seen, pooled)


def _results(
    row: CampaignRow,
    arms: Mapping[str, ArmPlan],
    plan: Mapping[str, Any],
    lots: Sequence[LotCount],
    machines: Mapping[str, int],
    holdout: HoldoutResult,
    seen: Summary,
    pooled: Pooled,
) -> CampaignResults:
    tallies = seen.by_arm()
    believed = {a: pooled.prompts.get((p.prompt, p.version), _UNKNOWN) for a, p in arms.items()}
    chances = chances_of_best(
        {arm: (b.effect, b.shape) for arm, b in believed.items()}, seed=row.seed
    )
    counts = _counts(seen, plan, sorted(arms))
    pairs = contrasts(counts)
    best = winner(counts)
    leader = best or max(sorted(arms), key=lambda arm: believed[arm].effect, default="")
    rival, lift, verdict = _verdict(leader, best, pairs, tallies)
    return CampaignResults(
        campaign_id=row.id,
        name=row.name,
        state=row.state,
        sends=sum(t.sends for t in tallies.values()),
        clicks=sum(t.clicked for t in tallies.values()),
        arms=tuple(
            _arm(arm, p, tallies.get(arm, Tally()), machines.get(arm, 0), chances[arm])
            for arm, p in sorted(arms.items())
        ),
        cells=_cells(seen, arms, pooled, row.seed),
        waves=_waves(lots, plan),
        contrasts=tuple(pairs),
        guardrails=tuple(
            rail
            for arm in sorted(arms)
            for t in (tallies.get(arm, Tally()),)
            for rail in guardrails(
                arm, sends=t.sends, unsubscribed=t.unsubscribed, complained=t.complained
            )
        ),
        holdout=holdout,
        leader=leader,
        winner=best,
        rival=rival,
        lift=lift,
        lift_shown=bool(best),
        verdict=verdict,
        ripe=seen.ripe,
    )


def _arm(arm: str, plan: ArmPlan, counts: Tally, machines: int, chance: float) -> ArmResult:
    return ArmResult(
        arm=arm,
        prompt=plan.prompt,
        version=plan.version,
        probability=plan.probability,
        counts=counts,
        machine_opens=machines,
        open_rate=rate_interval(counts.opened, counts.sends),
        click_rate=rate_interval(counts.clicked, counts.sends),
        p_best=chance,
    )


def _counts(seen: Summary, plan: Mapping[str, Any], arms: Sequence[str]) -> list[ArmCount]:
    """Counts by stratum, with an entry for an arm that could have been drawn and was not: leaving it out
    would take away the strata in which it had bad luck."""
    strata: dict[tuple[int, int, str], dict[str, ArmCount]] = {}
    for lot, counts in seen.tallies.items():
        key = (lot.wave, lot.segment_id, lot.language)
        stratum = strata.setdefault(key, {})
        before = stratum.get(lot.arm)
        stratum[lot.arm] = ArmCount(
            "/".join(map(str, key)),
            lot.arm,
            lot.propensity,
            counts.sends + (before.sends if before else 0),
            counts.clicked + (before.clicks if before else 0),
        )
    found = []
    for (wave, segment_id, language), stratum in sorted(strata.items()):
        shares = _planned(plan, wave).get(str(segment_id), {})
        keep = 1 - float(plan.get("test", {}).get("holdout", 0.0))
        for arm in arms:
            if arm in stratum:
                found.append(stratum[arm])
            elif shares.get(arm, 0.0) > 0:
                found.append(
                    ArmCount(f"{wave}/{segment_id}/{language}", arm, keep * shares[arm], 0, 0)
                )
    return found


def _planned(plan: Mapping[str, Any], wave: int) -> Mapping[str, Mapping[str, float]]:
    part = plan.get({1: "test", 2: "rest"}.get(wave, ""), {})
    shares: Mapping[str, Mapping[str, float]] = part.get("shares", {})
    return shares


def _verdict(
    leader: str, best: str, pairs: Sequence[Contrast], tallies: Mapping[str, Tally]
) -> tuple[str, Interval | None, str]:
    """The arm that comes closest to the leader, the difference, and what may be said."""
    against: list[tuple[str, Interval]] = []
    for pair in pairs:
        gap = pair.interval
        if pair.first == leader:
            against.append((pair.second, gap))
        elif pair.second == leader:
            turned = Interval(-gap.estimate, -gap.high, -gap.low, gap.level)
            against.append((pair.first, turned))
    if not leader:
        return "", None, "There are no arms yet."
    if not any(t.sends for t in tallies.values()):
        return "", None, "Lift not shown: nothing was sent yet."
    if not against:
        return "", None, "Lift not shown: there is only one arm."
    if not any(t.clicked for t in tallies.values()):
        return "", None, "Lift not shown: nobody has clicked yet."
    other, gap = min(against, key=lambda item: item[1].low)
    base = tallies.get(other, Tally()).click_rate
    return other, gap, lift_sentence(leader, other, gap, shown=bool(best), base=base or None)


def _cells(
    seen: Summary, arms: Mapping[str, ArmPlan], pooled: Pooled, seed: int
) -> tuple[CellResult, ...]:
    tallies = seen.by(lambda lot: (lot.segment_id, lot.arm))
    found = []
    for segment_id in sorted({lot.segment_id for lot in seen.tallies}):
        believed = {
            arm: pooled.cells.get((p.prompt, p.version, segment_id))
            or pooled.prompts.get((p.prompt, p.version), _UNKNOWN)
            for arm, p in sorted(arms.items())
        }
        chances = chances_of_best(
            {arm: (b.effect, b.shape) for arm, b in believed.items()}, seed=seed + segment_id
        )
        for arm, belief in believed.items():
            counts = tallies.get((segment_id, arm), Tally())
            found.append(
                CellResult(
                    segment_id=segment_id,
                    arm=arm,
                    prompt=arms[arm].prompt,
                    sends=counts.sends,
                    clicks=counts.clicked,
                    click_rate=rate_interval(counts.clicked, counts.sends),
                    effect=belief.effect,
                    p_best=chances[arm],
                )
            )
    return tuple(found)


def _waves(lots: Sequence[LotCount], plan: Mapping[str, Any]) -> tuple[WaveResult, ...]:
    leads: dict[int, dict[str, int]] = {}
    for lot in lots:
        wave = leads.setdefault(lot.wave, {})
        wave[lot.arm] = wave.get(lot.arm, 0) + lot.leads
    return tuple(
        WaveResult(wave, dict(sorted(found.items())), _planned(plan, wave))
        for wave, found in sorted(leads.items())
    )
