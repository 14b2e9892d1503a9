"""Queries about prompt versions: the exact text behind every arm, by the hash of that text."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from sqlalchemy import select

from pigeonry.store.models import PromptVersion
from pigeonry.store.session import Session


class PromptText(Protocol):
    """What is kept of a prompt, whoever loaded it."""

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def source(self) -> str: ...


def ensure(session: Session, prompts: Iterable[PromptText], at: datetime) -> None:
    """Store the texts that are not stored yet."""
    known = set(session.scalars(select(PromptVersion.version)))
    for prompt in prompts:
        if prompt.version not in known:
            known.add(prompt.version)
            session.add(
                PromptVersion(
                    version=prompt.version, name=prompt.name, source=prompt.source, created_at=at
                )
            )
    session.flush()


def source(session: Session, version: str) -> str | None:
    """The text of a version, or None when it was never stored."""
    return session.scalar(select(PromptVersion.source).where(PromptVersion.version == version))
