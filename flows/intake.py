"""Takes in leads and gives each of them a segment: those of a file, or those of whom CRMs have news."""

from __future__ import annotations

from prefect import flow

from flows import artifacts, tasks, trigger


@flow(name="intake")
def intake(
    path: str = "",
    consent: str = "",
    mapping: list[str] | None = None,
    home: str = "",
    as_of: str = "",
    crm: int = 0,
) -> tasks.Counts:
    """Import a CSV file and segment what is new or changed, or take in what CRMs told.

    `consent` is BASIS:SOURCE, as on the command line; without it only leads whose row states a consent
    may be mailed. `mapping` holds COLUMN=FIELD pairs. `crm` is the number of the newest stored body of a
    CRM: with it there is no file, and all news that waits is taken in.
    """
    if crm:
        return _news(home, as_of)
    counts = tasks.import_leads(path, consent, mapping or [], home, as_of)
    artifacts.leave_counts("intake", counts)
    if counts["created"] or counts["updated"]:
        tasks.refresh_segments(home, as_of)
    return counts


def _news(home: str, as_of: str) -> tasks.Counts:
    """Update leads, place them, and send to those that joined an approved campaign by a rule."""
    counts = tasks.apply_crm(home, as_of)
    artifacts.leave_counts("intake-crm", counts)
    waiting = 0
    send = tasks.send_joined.with_options(tags=["provider"])
    for campaign_id in tasks.follow_crm(home, as_of):
        # A channel that is down leaves the mail planned; the leads are up to date all the same.
        sent = send(campaign_id, home, as_of, return_state=True)
        waiting += sent.result() if sent.is_completed() else 1
    if waiting:
        trigger.crm_later(home)
    return counts
