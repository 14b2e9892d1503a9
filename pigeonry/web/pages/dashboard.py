"""The first page."""

from __future__ import annotations

from fastapi import Response

from pigeonry.web.auth import VIEW, Console, Nav, TheVisit

router = Console(nav=Nav("/", "dashboard.nav"))


@router.page("/", may=VIEW)
def home(visit: TheVisit) -> Response:
    return visit.page("dashboard")
