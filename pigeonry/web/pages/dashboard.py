"""The first page: what needs somebody now, what runs, what comes, who can be reached, what was learned."""

from __future__ import annotations

import re
from functools import partial

from fastapi import Response

from pigeonry.service import dashboard
from pigeonry.web import words
from pigeonry.web.auth import VIEW, Console, Nav, TheVisit, Visit

router = Console(nav=Nav("/", "dashboard.nav"))


@router.page("/", may=VIEW)
def home(visit: TheVisit) -> Response:
    found = dashboard.dashboard(visit.db, visit.home, now=visit.now)
    return visit.page(
        "dashboard", found=found, finding=partial(_finding, visit), job=partial(_job, visit)
    )


def _finding(visit: Visit, name: str) -> str:
    """What a check is about, in the visitor's language; its name where there are no words for it."""
    key = re.sub(r"[^a-z]", "_", name)
    if f"dashboard.finding.{key}" in words.sentences():
        return visit.t(f"dashboard.finding.{key}")
    return name


def _job(visit: Visit, kind: str) -> str:
    if f"jobs.kinds.{kind}" in words.sentences():
        return visit.t(f"jobs.kinds.{kind}")
    return kind
