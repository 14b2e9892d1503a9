"""Signing in and out, and the one-time links with which a password is chosen."""

from __future__ import annotations

from fastapi import Response

from pigeonry.domain.operator import Permission
from pigeonry.errors import WrongUse
from pigeonry.service import operators, sign_in
from pigeonry.service.passwords import WeakPassword
from pigeonry.service.sign_in import Entered, NotSignedIn
from pigeonry.web.auth import cookies
from pigeonry.web.auth.routes import ANYONE, SIGN_IN, Console
from pigeonry.web.auth.visit import TheVisit, Visit

router = Console()


@router.page(SIGN_IN, may=ANYONE)
def sign_in_form(visit: TheVisit) -> Response:
    if visit.who is not None:
        return visit.go(_next(visit))
    nobody = operators.nobody_yet(visit.db)
    return visit.page("sign_in", next=_next(visit), email="", error="", nobody=nobody)


@router.action(SIGN_IN, may=ANYONE)
def sign_in_now(visit: TheVisit) -> Response:
    email = visit.form.text("email", 320)
    try:
        entered = sign_in.enter(
            visit.db,
            visit.home,
            email=email,
            password=visit.form.secret("password"),
            place=visit.place,
            now=visit.now,
        )
    except NotSignedIn as error:
        visit.site.count("sign_in_failed")
        why = visit.t("sign_in.throttled" if error.throttled else "sign_in.wrong")
        status = 429 if error.throttled else 401
        return visit.page(
            "sign_in", status=status, next=_next(visit), email=email, error=why, nobody=False
        )
    if entered.ticket:
        return visit.page("sign_in_code", next=_next(visit), ticket=entered.ticket, error="")
    return _in(visit, entered)


@router.action("/sign-in/code", may=ANYONE)
def sign_in_code(visit: TheVisit) -> Response:
    ticket = visit.form.text("ticket", 200)
    try:
        entered = sign_in.enter_code(
            visit.db,
            visit.home,
            ticket=ticket,
            code=visit.form.text("code", 40),
            place=visit.place,
            now=visit.now,
        )
    except NotSignedIn as error:
        visit.site.count("sign_in_failed")
        why = visit.t("sign_in.throttled" if error.throttled else "sign_in.wrong_code")
        return visit.page(
            "sign_in_code",
            status=429 if error.throttled else 401,
            next=_next(visit),
            ticket=ticket,
            error=why,
        )
    return _in(visit, entered)


@router.action("/sign-out", may=Permission.VIEW)
def sign_out(visit: TheVisit) -> Response:
    assert visit.who is not None
    sign_in.leave(visit.db, visit.home, visit.who, now=visit.now)
    answer = visit.go(SIGN_IN, "sign_in.out")
    cookies.drop_token(answer, visit.home)
    return answer


@router.page("/setup/{token}", may=ANYONE)
def setup_form(visit: TheVisit, token: str) -> Response:
    """Looking does not use the link up."""
    return _setup_page(visit, token)


@router.action("/setup/{token}", may=ANYONE)
def setup(visit: TheVisit, token: str) -> Response:
    errors: dict[str, str] = {}
    password = visit.form.secret("password")
    if password != visit.form.secret("again"):
        errors["again"] = visit.t("sign_in.not_same")
        return _setup_page(visit, token, errors)
    try:
        operator = operators.accept(
            visit.db,
            visit.home,
            token,
            password=password,
            name=visit.form.text("name", 300),
            email=visit.form.text("email", 320),
            now=visit.now,
        )
    except WeakPassword as error:
        return _setup_page(visit, token, {"password": visit.t(f"sign_in.weak.{error.reason}")})
    except WrongUse as error:
        known = {"name": "sign_in.name_wrong", "email": "sign_in.email_wrong"}
        return _setup_page(visit, token, {error.where: visit.t(known[error.where])})
    if operator is None:
        return _setup_page(visit, token)
    entered = sign_in.enter_by_link(
        visit.db, visit.home, operator, place=visit.place, now=visit.now
    )
    return _in(visit, entered, say="sign_in.welcome")


def _setup_page(visit: Visit, token: str, errors: dict[str, str] | None = None) -> Response:
    invited = operators.invitation(visit.db, token, now=visit.now)
    status = 404 if invited is None else 400 if errors else 200
    return visit.page(
        "setup",
        status=status,
        invited=invited,
        typed=visit.form.fields(),
        errors=errors or {},
    )


def _in(visit: Visit, entered: Entered, say: str = "") -> Response:
    """A token of its own for each sign-in: one that was planted before is worth nothing."""
    answer = visit.go(_next(visit), say)
    cookies.keep_token(answer, visit.home, entered.token)
    return answer


def _next(visit: Visit) -> str:
    """Where to go on: a path of ours, or the first page."""
    path = visit.form.text("next", 2000) or visit.request.query_params.get("next", "")[:2000]
    ours = path.startswith("/") and not path.startswith("//") and "\\" not in path
    return path if ours and path.isprintable() and not path.startswith(SIGN_IN) else "/"
