"""Turns ripe outcomes into beliefs, so that the next campaign chooses differently."""

from __future__ import annotations

from prefect import flow

from flows import tasks


@flow(name="learn")
def learn(home: str = "", as_of: str = "") -> tasks.Counts:
    """Drain what is waiting, then update posteriors and, with enough that is new, refit the model."""
    tasks.drain_events(home, as_of)
    return tasks.learn(home, as_of)
