"""Who did what, and whether that record is whole."""

from __future__ import annotations

from fastapi import Response

from pigeonry.service import api_tokens, audit, operators
from pigeonry.web.auth import ADMIN, Console, TheVisit

router = Console()
_PAGE = 50


@router.page("/settings/audit", may=ADMIN)
def show(visit: TheVisit, before: int = 0, action: str = "") -> Response:
    found = audit.newest(visit.db, before=before, limit=_PAGE + 1, action=action)
    names = {one.actor: one.name for one in operators.every(visit.db)}
    names |= {f"token:{one.id}": one.name for one in api_tokens.every(visit.db)}
    return visit.page(
        "audit",
        entries=found[:_PAGE],
        older=found[_PAGE - 1].id if len(found) > _PAGE else 0,
        actions=audit.actions(visit.db),
        action=action,
        names=names,
        verdict=None,
    )


@router.action("/settings/audit/verify", may=ADMIN)
def verify(visit: TheVisit) -> Response:
    """Reads the whole chain again."""
    verdict = audit.verify(visit.db, visit.home, expected=visit.form.text("expected", 64))
    return visit.page("audit_verdict", verdict=verdict, expected=visit.form.text("expected", 64))
