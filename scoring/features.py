"""What the engagement model looks at: behaviour before the mail, segment, language, prompt, words, hour.

Only what was known when a mail left. Nothing that names a person, and nothing that came afterwards.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pigeonry.domain import Copy, Outcomes

if TYPE_CHECKING:
    import pandas as pd

CATEGORIES = ("segment", "language", "prompt", "segment_prompt")
VariantKey = tuple[int, int, str, str]  # campaign, segment, language, arm
_NEVER = 365.0  # days since a click, for whoever never clicked


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Rows to learn from, aligned by position: features, whether a person clicked, how much of a trial
    each row is by now (1 = all clicks are in), who it was (to keep one person on one side of a split),
    and when it left."""

    frame: pd.DataFrame
    clicked: NDArray[np.bool_]
    weight: NDArray[np.float64]
    lead_ids: NDArray[np.int64]
    at: NDArray[np.datetime64]


@dataclass(slots=True)
class _Past:
    """What is known of a lead so far, while going through its mails in the order they left."""

    sent: int = 0
    clicks: list[datetime] = field(default_factory=list)


def text_features(copy: Copy) -> dict[str, float]:
    """Numbers that describe a text. Lengths in characters or words."""
    subject = copy.subject
    words = subject.split()
    body = " ".join([copy.hook, *copy.body])
    return {
        "subject_length": float(len(subject)),
        "subject_words": float(len(words)),
        "subject_question": float("?" in subject),
        "subject_digit": float(bool(re.search(r"\d", subject))),
        "subject_exclaims": float("!" in subject),
        "subject_addresses": float(
            bool(re.search(r"\b(you|your|tu|ta|tău|tale|dumneavoastră)\b", subject.lower()))
        ),
        "preheader_length": float(len(copy.preheader)),
        "body_words": float(len(body.split())),
    }


def timing_features(at: datetime) -> dict[str, float]:
    """Hour of the day (UTC) on a circle, and whether it is a weekend."""
    angle = 2 * math.pi * (at.hour + at.minute / 60) / 24
    return {
        "hour_sin": math.sin(angle),
        "hour_cos": math.cos(angle),
        "weekend": float(at.weekday() >= 5),
    }


def past_features(sent: int, clicked: int, days_since_click: float | None) -> dict[str, float]:
    """Behaviour before this mail. The rate is shrunk towards one click in 50 mails."""
    return {
        "past_sent": math.log1p(sent),
        "past_clicked": math.log1p(clicked),
        "past_rate": (clicked + 0.2) / (sent + 10.0),
        "days_since_click": math.log1p(_NEVER if days_since_click is None else days_since_click),
    }


def row(
    *,
    segment_id: int,
    language: str,
    prompt: str,
    copy: Copy | None,
    at: datetime,
    sent: int = 0,
    clicked: int = 0,
    days_since_click: float | None = None,
) -> dict[str, float | str]:
    """One row of the frame. A text that is not at hand leaves its numbers missing (NaN)."""
    text = (
        text_features(copy)
        if copy is not None
        else dict.fromkeys(text_features(Copy("", "", "", (), "")), math.nan)
    )
    return {
        "segment": str(segment_id),
        "language": language,
        "prompt": prompt,
        "segment_prompt": f"{segment_id}/{prompt}",  # who likes what; shrunk like every coefficient
        **past_features(sent, clicked, days_since_click),
        **text,
        **timing_features(at),
    }


def examples(
    outcomes: Sequence[Outcomes],
    texts: Mapping[VariantKey, Copy],
    weight: Sequence[float] | None = None,
) -> Examples:
    """Rows for outcomes; a lead's past at each mail holds only clicks made before that mail left.

    `weight[i]` is outcome i's exposure (see feedback.rewards); a clicked one counts fully. Bounced mails
    are left out.
    """
    import pandas as pd

    past: dict[int, _Past] = {}
    rows, kept = [], []
    order = sorted(
        range(len(outcomes)), key=lambda i: (outcomes[i].accepted_at, outcomes[i].message_id)
    )
    for i in order:
        outcome = outcomes[i]
        known = past.setdefault(outcome.lead_id, _Past())
        if not outcome.bounced:
            before = [at for at in known.clicks if at < outcome.accepted_at]
            days = (outcome.accepted_at - max(before)).total_seconds() / 86400 if before else None
            key = (outcome.campaign_id, outcome.segment_id, outcome.language, outcome.arm)
            rows.append(
                row(
                    segment_id=outcome.segment_id,
                    language=outcome.language,
                    prompt=outcome.prompt,
                    copy=texts.get(key),
                    at=outcome.accepted_at,
                    sent=known.sent,
                    clicked=len(before),
                    days_since_click=days,
                )
            )
            kept.append(i)
        known.sent += 1
        if outcome.first_click_at is not None:
            known.clicks.append(outcome.first_click_at)
    columns = list(row(segment_id=0, language="", prompt="", copy=None, at=datetime(2000, 1, 1)))  # noqa: DTZ001
    return Examples(
        frame=pd.DataFrame(rows, columns=columns),
        clicked=np.array([outcomes[i].clicked for i in kept], dtype=bool),
        weight=np.array(
            [1.0 if weight is None or outcomes[i].clicked else weight[i] for i in kept], dtype=float
        ),
        lead_ids=np.array([outcomes[i].lead_id for i in kept], dtype=np.int64),
        at=np.array([outcomes[i].accepted_at.replace(tzinfo=None) for i in kept], "datetime64[us]"),
    )
