"""Who may sign in: an admin adds people, gives them roles and links, and takes them out again."""

from __future__ import annotations

from fastapi import Response

from pigeonry.domain.operator import Role
from pigeonry.errors import WrongUse
from pigeonry.service import operators
from pigeonry.web.auth import ADMIN, Console, TheVisit, Visit
from pigeonry.web.auth.hosts import console_url

router = Console()


@router.page("/settings/operators", may=ADMIN)
def show(visit: TheVisit) -> Response:
    return _page(visit)


@router.action("/settings/operators", may=ADMIN)
def add(visit: TheVisit) -> Response:
    try:
        made = operators.add(
            visit.db,
            visit.home,
            name=visit.form.text("name", 300),
            email=visit.form.text("email", 320),
            role=_role(visit),
            by=visit.actor,
            now=visit.now,
        )
    except WrongUse as error:
        known = {"name": "sign_in.name_wrong", "email": "operators.email_wrong"}
        if error.where not in known:
            raise
        return _page(visit, errors={error.where: visit.t(known[error.where])})
    return _linked(visit, made.id)


@router.action("/settings/operators/{operator_id}/link", may=ADMIN)
def link(visit: TheVisit, operator_id: int) -> Response:
    """The link is shown once, on this page alone."""
    return _linked(visit, operator_id)


@router.action("/settings/operators/{operator_id}/role", may=ADMIN)
def change_role(visit: TheVisit, operator_id: int) -> Response:
    operators.change_role(
        visit.db, visit.home, operator_id, _role(visit), by=visit.actor, now=visit.now
    )
    return visit.go("/settings/operators", "operators.role_changed")


@router.action("/settings/operators/{operator_id}/disable", may=ADMIN)
def disable(visit: TheVisit, operator_id: int) -> Response:
    undo = visit.form.flag("undo")
    operators.disable(
        visit.db, visit.home, operator_id, disabled=not undo, by=visit.actor, now=visit.now
    )
    return visit.go("/settings/operators", "operators.enabled" if undo else "operators.disabled")


def _role(visit: Visit) -> Role:
    chosen = visit.form.text("role", 40)
    if chosen not in set(Role):
        raise WrongUse("there is no such role", where="role")
    return Role(chosen)


def _linked(visit: Visit, operator_id: int) -> Response:
    found = operators.find(visit.db, operator_id)
    token = operators.link(visit.db, visit.home, operator_id, by=visit.actor, now=visit.now)
    host, port = visit.request.scope["server"]
    address = f"{console_url(visit.home, str(host), int(port))}/setup/{token}"
    return _page(visit, link=address, whose=found.name)


def _page(
    visit: Visit, *, errors: dict[str, str] | None = None, link: str = "", whose: str = ""
) -> Response:
    return visit.page(
        "operators",
        status=400 if errors else 200,
        operators=operators.every(visit.db),
        roles=list(Role),
        errors=errors or {},
        typed=visit.form.fields() if errors else {},
        link=link,
        whose=whose,
    )
