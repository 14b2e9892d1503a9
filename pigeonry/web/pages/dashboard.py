"""The first page: what needs somebody now, what runs, what comes, who can be reached, what was learned."""

from __future__ import annotations

from fastapi import Response

from pigeonry.service import dashboard
from pigeonry.web.auth import VIEW, Console, Nav, TheVisit

router = Console(nav=Nav("/", "dashboard.nav"))


@router.page("/", may=VIEW)
def home(visit: TheVisit) -> Response:
    return visit.page("dashboard", found=dashboard.dashboard(visit.db, visit.home, now=visit.now))
