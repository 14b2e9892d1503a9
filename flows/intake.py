"""Takes in a file of leads and gives each of them a segment."""

from __future__ import annotations

from prefect import flow

from flows import artifacts, tasks


@flow(name="intake")
def intake(
    path: str, consent: str = "", mapping: list[str] | None = None, home: str = "", as_of: str = ""
) -> tasks.Counts:
    """Import a CSV file and segment what is new or changed.

    `consent` is BASIS:SOURCE, as on the command line; without it only leads whose row states a consent
    may be mailed. `mapping` holds COLUMN=FIELD pairs.
    """
    counts = tasks.import_leads(path, consent, mapping or [], home, as_of)
    artifacts.leave_counts("intake", counts)
    if counts["created"] or counts["updated"]:
        tasks.refresh_segments(home, as_of)
    return counts
