"""What mail added: conversions of leads who drew it against those who by lot got none. Everybody who drew is
counted, whatever became of the mail, and for the same days on both sides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pigeonry.domain import HOLDOUT, Assignment, Interval
from pigeonry.store import assignments, campaigns, events
from pigeonry.store.assignments import LotCount
from pigeonry.store.session import Session
from scoring.evaluate import ArmCount, contrast

_MAIL = "mail"


class Said(StrEnum):
    """What may be said of the holdout now."""

    NO_HOLDOUT = "no_holdout"
    NOT_YET = "not_yet"  # not everybody has drawn
    NO_CONVERSIONS = "no_conversions"
    SHOWN = "shown"
    NOT_SHOWN = "not_shown"


@dataclass(frozen=True, slots=True)
class HoldoutResult:
    """Leads who by lot got no mail. `lift` is the share of leads with mail who converted minus that of leads
    without; None while that cannot be said, and `said` says why."""

    size: int
    share: float
    lift: Interval | None = None
    said: Said = Said.NO_CONVERSIONS
    drew_mail: int = 0
    converted: int = 0
    converted_without: int = 0

    @property
    def claim(self) -> str:
        """In a sentence."""
        if self.lift is None:
            return _CLAIMS[self.said]
        points = f"{self.lift.estimate * 100:+.2f} points"
        span = f"{self.lift.low * 100:+.2f} to {self.lift.high * 100:+.2f}"
        counts = (
            f"{self.converted:,} of {self.drew_mail:,} converted with mail, "
            f"{self.converted_without:,} of {self.size:,} without"
        )
        if self.said is Said.SHOWN:
            return f"Lift against the holdout shown: {points} ({span}); {counts}."
        return f"Lift against the holdout not shown: {points} ({span}), which holds 0; {counts}."


_CLAIMS = {
    Said.NO_HOLDOUT: "Nobody was held out, so lift against no mail cannot be shown.",
    Said.NOT_YET: "Lift against the holdout is not shown before everybody has drawn.",
    Said.NO_CONVERSIONS: "Clicks cannot be compared with people who got no mail: they had nothing to click. "
    "Arms are compared with each other instead. The holdout will show lift once conversions are recorded "
    "for everybody.",
}


def holdout_result(
    session: Session, campaign_id: int, lots: Sequence[LotCount], *, days: float, now: datetime
) -> HoldoutResult:
    """`days`: how long after the last lot a conversion still counts."""
    held_out = sum(lot.leads for lot in lots if lot.arm == HOLDOUT)
    drew_mail = sum(lot.leads for lot in lots) - held_out
    share = held_out / (held_out + drew_mail) if lots else 0.0
    if not held_out:
        return HoldoutResult(0, 0.0, said=Said.NO_HOLDOUT, drew_mail=drew_mail)
    if campaigns.get(session, campaign_id).stage in _BEFORE_ALL_DREW:
        return HoldoutResult(held_out, share, said=Said.NOT_YET, drew_mail=drew_mail)
    first, last = assignments.span(session, campaign_id)
    until = min(now, last + timedelta(days=days))
    who = {found.lead_id for found in events.conversions(session, since=first, until=until)}
    drawn = assignments.of_leads(session, campaign_id, sorted(who))
    without = sum(lot.arm == HOLDOUT for lot in drawn)
    counts = (held_out, share, drew_mail, len(drawn) - without, without)
    return _compared(lots, drawn, *counts)


_BEFORE_ALL_DREW = (
    "audience", "arms", "write", "score", "approve", "assign_test", "send_test", "ripen", "assign_rest",
)  # fmt: skip


def _compared(
    lots: Sequence[LotCount],
    drawn: Sequence[Assignment],
    held_out: int,
    share: float,
    drew_mail: int,
    converted: int,
    without: int,
) -> HoldoutResult:
    if not drawn:
        return HoldoutResult(held_out, share, said=Said.NO_CONVERSIONS, drew_mail=drew_mail)
    counts = []
    for segment in sorted({lot.segment_id for lot in lots}):
        own = [lot for lot in lots if lot.segment_id == segment]
        out = [lot for lot in own if lot.arm == HOLDOUT]
        hits = [lot for lot in drawn if lot.segment_id == segment]
        hits_without = sum(lot.arm == HOLDOUT for lot in hits)
        n_without = sum(lot.leads for lot in out)
        n_mail = sum(lot.leads for lot in own) - n_without
        # One lot of one chance for everybody; where nobody of the segment drew it, the campaign's share.
        chance = out[0].propensity if out else share
        counts += [
            ArmCount(str(segment), _MAIL, 1 - chance, n_mail, len(hits) - hits_without),
            ArmCount(str(segment), HOLDOUT, chance, n_without, hits_without),
        ]
    found = contrast(counts, _MAIL, HOLDOUT)
    return HoldoutResult(
        held_out,
        share,
        found.interval,
        Said.SHOWN if found.shown else Said.NOT_SHOWN,
        drew_mail,
        converted,
        without,
    )
