"""Tokens of the API: everybody makes and revokes their own; an admin sees and revokes all."""

from __future__ import annotations

from fastapi import Response

from pigeonry.domain.operator import ALLOWED, NEEDS, ApiToken, Scope
from pigeonry.errors import NotFound, Refused, WrongUse
from pigeonry.service import api_tokens, operators
from pigeonry.web.auth import ADMIN, VIEW, Console, TheVisit, Visit

router = Console()
DAYS = (7, 30, 90, 365)


@router.page("/settings/tokens", may=VIEW)
def show(visit: TheVisit) -> Response:
    return _page(visit)


@router.action("/settings/tokens", may=VIEW)
def make(visit: TheVisit) -> Response:
    chosen = visit.form.every("scope", 40)
    scopes = tuple(Scope(scope) for scope in chosen if scope in set(Scope))
    try:
        _, text = api_tokens.make(
            visit.db,
            visit.home,
            visit.operator,
            name=visit.form.text("name", 200),
            scopes=scopes,
            days=visit.form.number("days") or 0,
            now=visit.now,
        )
    except (WrongUse, Refused) as error:
        return _page(visit, errors={error.where: visit.t(f"tokens.wrong.{error.where}")})
    return _page(visit, text=text)


@router.action("/settings/tokens/{token_id}/revoke", may=VIEW)
def revoke(visit: TheVisit, token_id: int) -> Response:
    if token_id not in {token.id for token in _seen(visit)}:
        raise NotFound("there is no such token of yours", where=str(token_id))
    api_tokens.revoke(visit.db, visit.home, token_id, by=visit.actor, now=visit.now)
    return visit.go("/settings/tokens", "tokens.revoked")


def _seen(visit: Visit) -> list[ApiToken]:
    every = api_tokens.every(visit.db)
    if visit.may(ADMIN):
        return every
    return [token for token in every if token.operator_id == visit.operator.id]


def _page(visit: Visit, *, errors: dict[str, str] | None = None, text: str = "") -> Response:
    role = visit.operator.role
    return visit.page(
        "tokens",
        status=400 if errors else 200,
        tokens=_seen(visit),
        names={one.id: one.name for one in operators.every(visit.db)},
        scopes=[scope for scope in Scope if NEEDS[scope] in ALLOWED[role]],
        days=DAYS,
        errors=errors or {},
        typed=visit.form.fields() if errors else {},
        chosen=visit.form.every("scope", 40) if errors else [],
        text=text,
        now=visit.now,
    )
