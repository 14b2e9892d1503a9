"""What campaigns earned: arms with intervals, lift, allocation, costs, and what was learned."""

from __future__ import annotations

from fastapi import Response

from pigeonry.service import jobs, results_page
from pigeonry.web.auth import EDIT, VIEW, Console, Nav, TheVisit

router = Console(nav=Nav("/results", "results.nav"))


@router.page("/results", may=VIEW)
def index(visit: TheVisit, before: int | None = None) -> Response:
    rows = results_page.listed(visit.db, before=before)
    more = rows[-1].row.id if len(rows) == results_page.PAGE else None
    return visit.page("results", rows=rows, more=more, first=before is None)


@router.page("/results/{campaign_id}", may=VIEW)
def show(visit: TheVisit, campaign_id: int) -> Response:
    found = results_page.results_page(visit.db, visit.home, campaign_id, now=visit.now)
    return visit.page("results_campaign", found=found)


@router.page("/results/{campaign_id}/table.csv", may=VIEW)
def table(visit: TheVisit, campaign_id: int) -> Response:
    text = results_page.results_csv(visit.db, visit.home, campaign_id, now=visit.now)
    name = f'attachment; filename="results-{campaign_id}.csv"'
    return Response(
        text.encode("utf-8-sig"), media_type="text/csv", headers={"Content-Disposition": name}
    )


@router.action("/results/{campaign_id}/count", may=EDIT)
def count(visit: TheVisit, campaign_id: int) -> Response:
    """Work a large campaign's results out anew, in a process of its own."""
    results_page.find(visit.db, campaign_id)
    job = jobs.ask(
        visit.db,
        visit.home,
        "results",
        {"campaign_id": campaign_id},
        subject=f"results:{campaign_id}",
        by=visit.actor,
        now=visit.now,
    )
    visit.audit("results.count", f"campaign:{campaign_id}")
    return visit.go(f"/jobs/{job.id}")
