"""Understands the raw events that providers have reported since the last run."""

from __future__ import annotations

from prefect import flow

from flows import tasks


@flow(name="drain-events")
def drain_events(home: str = "", as_of: str = "") -> tasks.Counts:
    """De-duplicate, tell machines from people, suppress at once where somebody said stop."""
    return tasks.drain_events(home, as_of)
