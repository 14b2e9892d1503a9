"""Understands what came back since the last run: what providers report, what they may have failed to report
(asked for once a day), and what people and servers answer by mail. Whoever asked to be written to is asked to
confirm."""

from __future__ import annotations

from prefect import flow

from flows import tasks


@flow(name="drain-events")
def drain_events(home: str = "", as_of: str = "") -> tasks.Counts:
    """De-duplicate, tell machines from people, suppress at once where somebody said stop."""
    # A provider or mailbox that does not answer shows as a failed task; what is here is still understood.
    tasks.pull_stops(home, as_of, return_state=True)
    tasks.poll_mailbox(home, as_of, return_state=True)
    tasks.send_opt_in_mails(home, as_of, return_state=True)
    return tasks.drain_events(home, as_of)
