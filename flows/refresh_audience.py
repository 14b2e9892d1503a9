"""Keeps segments true to who the leads are and what they do."""

from __future__ import annotations

from prefect import flow

from flows import artifacts, tasks


@flow(name="refresh-audience")
def refresh_audience(home: str = "", as_of: str = "") -> tasks.Counts:
    """Embed leads that are new or changed, join their behaviour, and move them where they belong."""
    counts = tasks.refresh_segments(home, as_of)
    artifacts.leave_segments(home)
    return counts
