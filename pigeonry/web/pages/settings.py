"""What is set, what is missing and what each gap costs."""

from __future__ import annotations

from fastapi import Response

from pigeonry.service.doctor import diagnose
from pigeonry.service.settings_view import settings
from pigeonry.web.auth import ADMIN, Console, Nav, TheVisit

router = Console(nav=Nav("/settings", "settings.nav", ADMIN))


@router.page("/settings", may=ADMIN)
def show(visit: TheVisit, every: bool = False) -> Response:
    found = settings(visit.home)
    return visit.page(
        "settings",
        checks=diagnose(visit.home),
        settings=found if every else [one for one in found if one.own],
        every=every,
        file=str(visit.home.path / "pigeonry.toml"),
    )
