"""Prompt files and their versions: what is believed of each, what it costs, and how two differ."""

from __future__ import annotations

from fastapi import Response

from pigeonry.service import jobs, prompt_book
from pigeonry.web.auth import EDIT, VIEW, Console, Nav, TheVisit

router = Console(nav=Nav("/prompts", "prompts.nav"))


@router.page("/prompts", may=VIEW)
def index(visit: TheVisit) -> Response:
    book = prompt_book.prompt_book(visit.db)
    versions = [
        (one.version, f"{one.name} · {one.version[:6]}") for name in book for one in name.versions
    ]
    return visit.page("prompts", book=book, versions=versions)


@router.page("/prompts/compare", may=VIEW)
def compare(visit: TheVisit, first: str = "", second: str = "") -> Response:
    return visit.page("prompts_compare", found=prompt_book.compare(visit.db, first, second))


@router.page("/prompts/{version}", may=VIEW)
def show(visit: TheVisit, version: str) -> Response:
    return visit.page("prompt", prompt=prompt_book.prompt_version(visit.db, version))


@router.action("/prompts/learn", may=EDIT)
def learn(visit: TheVisit) -> Response:
    """Learn from everything that has come back, in a process of its own."""
    job = jobs.ask(
        visit.db, visit.home, "learn", {}, subject="learn", by=visit.actor, now=visit.now
    )
    visit.audit("learn", f"job:{job.id}")
    return visit.go(f"/jobs/{job.id}")
