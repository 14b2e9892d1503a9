"""Keeps personal data no longer than the settings say. Who asks to be erased is erased at once, not here."""

from __future__ import annotations

from prefect import flow

from flows import tasks


@flow(name="privacy")
def privacy(home: str = "", as_of: str = "") -> tasks.Counts:
    """Events, bodies of webhooks, mail files and proposals of models that are older than `privacy.*_days`."""
    return tasks.retain(home, as_of)
