"""Which other programs are told what happened, and what became of the last notices."""

from __future__ import annotations

from fastapi import Response

from pigeonry.domain.notice import NoticeKind
from pigeonry.errors import WrongUse
from pigeonry.service import notices
from pigeonry.web.auth import ADMIN, Console, TheVisit, Visit

router = Console()
_SHOWN = 50


@router.page("/settings/notices", may=ADMIN)
def show(visit: TheVisit) -> Response:
    return _page(visit)


@router.action("/settings/notices", may=ADMIN)
def add(visit: TheVisit) -> Response:
    chosen = [kind for kind in visit.form.every("kind", 40) if kind in set(notices.KINDS)]
    try:
        _, secret = notices.add(
            visit.db,
            visit.home,
            url=visit.form.text("url", 2000),
            kinds=tuple(NoticeKind(kind) for kind in chosen),
            by=visit.actor,
            now=visit.now,
        )
    except WrongUse as error:
        return _page(visit, errors={error.where: visit.t(f"notices.wrong.{error.where}")})
    return _page(visit, secret=secret)


@router.action("/settings/notices/{address_id}/test", may=ADMIN)
def test(visit: TheVisit, address_id: int) -> Response:
    notices.ask_for_test(visit.db, address_id, now=visit.now)
    return visit.go("/settings/notices", "notices.tested")


@router.action("/settings/notices/{address_id}/remove", may=ADMIN)
def remove(visit: TheVisit, address_id: int) -> Response:
    notices.remove(visit.db, visit.home, address_id, by=visit.actor, now=visit.now)
    return visit.go("/settings/notices", "notices.removed")


def _page(visit: Visit, *, errors: dict[str, str] | None = None, secret: str = "") -> Response:
    return visit.page(
        "notices",
        status=400 if errors else 200,
        addresses=notices.addresses(visit.db),
        newest=notices.newest(visit.db, _SHOWN),
        kinds=notices.KINDS,
        errors=errors or {},
        typed=visit.form.fields() if errors else {},
        chosen=visit.form.every("kind", 40) if errors else [],
        secret=secret,
    )
