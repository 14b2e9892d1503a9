"""Understands the raw events that providers have reported since the last run, and asks once a day for what
they may have failed to report."""

from __future__ import annotations

from prefect import flow

from flows import tasks


@flow(name="drain-events")
def drain_events(home: str = "", as_of: str = "") -> tasks.Counts:
    """De-duplicate, tell machines from people, suppress at once where somebody said stop."""
    tasks.pull_stops(home, as_of)
    return tasks.drain_events(home, as_of)
