"""Queries about what is believed of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, insert, select

from pigeonry.domain import Posterior
from pigeonry.store.models import Posterior as PosteriorRow
from pigeonry.store.session import Session


def every(session: Session) -> list[Posterior]:
    """All beliefs. Those with an empty prompt speak of any prompt: the overall rate (segment 0) and
    each segment's."""
    rows = session.scalars(
        select(PosteriorRow).order_by(
            PosteriorRow.prompt, PosteriorRow.prompt_version, PosteriorRow.segment_id
        )
    )
    return [
        Posterior(
            prompt=row.prompt,
            prompt_version=row.prompt_version,
            segment_id=row.segment_id,
            sends=row.sends,
            clicks=row.clicks,
            alpha=row.alpha,
            beta=row.beta,
            updated_at=row.updated_at,
        )
        for row in rows
    ]


def replace_all(session: Session, beliefs: Sequence[Posterior], at: datetime) -> None:
    """Beliefs are learned anew from all outcomes, so the old ones go."""
    session.execute(delete(PosteriorRow))
    if beliefs:
        session.execute(
            insert(PosteriorRow),
            [
                {
                    "prompt": belief.prompt,
                    "prompt_version": belief.prompt_version,
                    "segment_id": belief.segment_id,
                    "sends": belief.sends,
                    "clicks": belief.clicks,
                    "alpha": belief.alpha,
                    "beta": belief.beta,
                    "updated_at": at,
                }
                for belief in beliefs
            ],
        )
