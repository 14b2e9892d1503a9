"""One's own sign-in: password, second factor, and where one is signed in."""

from __future__ import annotations

from fastapi import Response

from pigeonry.domain.operator import Permission
from pigeonry.errors import WrongUse
from pigeonry.service import operators, second_factor, sign_in
from pigeonry.service.passwords import WeakPassword
from pigeonry.web.auth import Console, TheVisit, Visit

router = Console()
_OWN = Permission.VIEW


@router.page("/account", may=_OWN)
def account(visit: TheVisit) -> Response:
    return _page(visit)


@router.action("/account/password", may=_OWN)
def change_password(visit: TheVisit) -> Response:
    new = visit.form.secret("password")
    if new != visit.form.secret("again"):
        return _page(visit, {"again": visit.t("sign_in.not_same")})
    try:
        operators.change_password(
            visit.db,
            visit.home,
            visit.operator.id,
            current=visit.form.secret("current"),
            new=new,
            keep=_here(visit),
            now=visit.now,
        )
    except WeakPassword as error:
        return _page(visit, {"password": visit.t(f"sign_in.weak.{error.reason}")})
    except WrongUse:
        return _page(visit, {"current": visit.t("account.current_wrong")})
    return visit.go("/account", "account.password_saved")


@router.action("/account/second-factor", may=_OWN)
def offer_second_factor(visit: TheVisit) -> Response:
    operator = visit.operator
    offer = second_factor.offer(visit.home, operator.id, operator.email)
    return visit.page("second_factor", offer=offer, error="", codes=[])


@router.action("/account/second-factor/on", may=_OWN)
def switch_on(visit: TheVisit) -> Response:
    operator = visit.operator
    offer = second_factor.offered(
        visit.home, operator.id, operator.email, visit.form.text("sealed", 500)
    )
    try:
        codes = second_factor.switch_on(
            visit.db,
            visit.home,
            operator.id,
            offer,
            visit.form.text("code", 40),
            keep=_here(visit),
            now=visit.now,
        )
    except WrongUse:
        why = visit.t("sign_in.wrong_code")
        return visit.page("second_factor", status=400, offer=offer, error=why, codes=[])
    return visit.page("second_factor", offer=offer, error="", codes=codes)


@router.action("/account/second-factor/off", may=_OWN)
def switch_off(visit: TheVisit) -> Response:
    """Asks for the password: a browser that was left open is not enough."""
    try:
        operators.confirm_password(visit.db, visit.operator.id, visit.form.secret("current_off"))
    except WrongUse:
        return _page(visit, {"current_off": visit.t("account.current_wrong")})
    second_factor.switch_off(
        visit.db,
        visit.home,
        visit.operator.id,
        by=visit.actor,
        keep=_here(visit),
        now=visit.now,
    )
    return visit.go("/account", "account.second_off")


@router.action("/account/sign-out-elsewhere", may=_OWN)
def sign_out_elsewhere(visit: TheVisit) -> Response:
    ended = sign_in.leave_everywhere(
        visit.db,
        visit.home,
        visit.operator.id,
        by=visit.actor,
        keep=_here(visit),
        now=visit.now,
    )
    return visit.go("/account", "account.ended", n=ended)


def _page(visit: Visit, errors: dict[str, str] | None = None) -> Response:
    return visit.page(
        "account",
        status=400 if errors else 200,
        errors=errors or {},
        places=sign_in.everywhere(visit.db, visit.operator.id),
        here=_here(visit),
    )


def _here(visit: Visit) -> str:
    assert visit.who is not None
    return visit.who.sign_in.id_hash
