"""Leads: found, and one lead's whole story with what may be done about it."""

from __future__ import annotations

import json

from fastapi import Response

from pigeonry.errors import WrongUse
from pigeonry.service import lead_book
from pigeonry.service.pages import person_page
from pigeonry.web.auth import EDIT, PRIVACY, VIEW, Console, Nav, TheVisit, Visit

router = Console(nav=Nav("/leads", "leads.nav"))

_PAGE = 50


@router.page("/leads", may=VIEW)
def index(visit: TheVisit, q: str = "", before: int = 0) -> Response:
    found, older = lead_book.search(visit.db, q, before_id=before or None, limit=_PAGE)
    return visit.page(
        "leads",
        found=found,
        q=q[:100],
        total=None if q or before else lead_book.count(visit.db),
        older=_query(visit, q, older) if older else "",
    )


@router.page("/leads/{lead_id}", may=VIEW)
def show(visit: TheVisit, lead_id: int) -> Response:
    return _show(visit, lead_id)


@router.action("/leads/{lead_id}/suppress", may=EDIT)
def suppress(visit: TheVisit, lead_id: int) -> Response:
    lead_book.suppress(visit.db, visit.home, lead_id, by=visit.actor, now=visit.now)
    return visit.go(f"/leads/{lead_id}", "leads.suppressed_done")


@router.action("/leads/{lead_id}/withdraw", may=EDIT)
def withdraw(visit: TheVisit, lead_id: int) -> Response:
    lead_book.withdraw(visit.db, visit.home, lead_id, by=visit.actor, now=visit.now)
    return visit.go(f"/leads/{lead_id}", "leads.withdrawn_done")


@router.action("/leads/{lead_id}/export", may=PRIVACY)
def export(visit: TheVisit, lead_id: int) -> Response:
    """Everything that is stored about the person, as a file: JSON, or a page that they can read."""
    found = lead_book.export(visit.db, visit.home, lead_id, by=visit.actor, now=visit.now)
    if visit.form.text("as", 10) == "page":
        return _file(person_page(found), "text/html; charset=utf-8", f"lead-{lead_id}.html")
    text = json.dumps(found, ensure_ascii=False, indent=2)
    return _file(text, "application/json", f"lead-{lead_id}.json")


@router.action("/leads/{lead_id}/erase", may=PRIVACY)
def erase(visit: TheVisit, lead_id: int) -> Response:
    try:
        done = lead_book.erase(
            visit.db,
            visit.home,
            lead_id,
            typed=visit.form.text("typed", 400),
            by=visit.actor,
            now=visit.now,
        )
    except WrongUse as error:
        if error.where != "typed":
            raise
        return _show(visit, lead_id, errors={"typed": visit.t("leads.typed_wrong")}, status=400)
    if done.notes:
        return visit.go("/leads", "leads.erased_partly", bad=True)
    return visit.go("/leads", "leads.erased")


def _show(
    visit: Visit, lead_id: int, *, errors: dict[str, str] | None = None, status: int = 200
) -> Response:
    story = lead_book.story(visit.db, lead_id)
    return visit.page(
        "lead",
        status=status,
        story=story,
        lead=story.lead,
        mailable=story.mailable(visit.now),
        now=visit.now,
        errors=errors or {},
    )


def _query(visit: Visit, q: str, before: int) -> str:
    url = visit.request.url.include_query_params(before=before)
    return f"{url.path}?{url.query}"


def _file(text: str, kind: str, name: str) -> Response:
    disposition = f'attachment; filename="{name}"'
    return Response(text, media_type=kind, headers={"Content-Disposition": disposition})
