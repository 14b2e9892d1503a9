"""The studio's briefs: the form with its checks, whom it reaches and what it costs, and the campaign made of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from fastapi import Response

from generation.brief import TONES
from generation.brief_form import LISTS, paths
from pigeonry.domain import Address, Language, Purpose
from pigeonry.domain.formats import CURRENCIES
from pigeonry.errors import BadInput, Refused
from pigeonry.service import studio_briefs, studio_forecast, studio_start
from pigeonry.service.studio_briefs import DraftView
from pigeonry.web.auth import EDIT, VIEW, Console, TheVisit, Visit
from pigeonry.web.pages import studio_words as say

router = Console()

_NEW: Mapping[str, str] = {
    "languages": "ro",
    "purpose": "offer",
    "tone": "friendly",
    "address": "informal",
    "product.currency": "RON",
    "experiment.variants": "2",
    "experiment.holdout": "10",
    "experiment.test_share": "20",
    "budget.currency": "EUR",
}
_LONGEST = 8_000  # of one field


@router.page("/studio/briefs/new", may=EDIT)
def new(visit: TheVisit) -> Response:
    """An empty form; the sender is filled in as in the newest brief, because it seldom changes."""
    form = dict(_NEW)
    if last := studio_briefs.every(visit.db, limit=1):
        known = studio_briefs.view(visit.db, visit.home, last[0].id).form
        form |= {path: text for path, text in known.items() if path.startswith("sender.")}
    return _form(visit, form)


@router.page("/studio/briefs/import", may=EDIT)
def import_form(visit: TheVisit) -> Response:
    return visit.page("studio_import", errors={}, typed="")


@router.action("/studio/briefs/import", may=EDIT)
def take_in(visit: TheVisit) -> Response:
    text = visit.form.text("source")
    try:
        draft = studio_briefs.take_in(
            visit.db, visit.home, text, by=visit.operator.name, now=visit.now
        )
    except BadInput as error:
        why = visit.t("studio.problem.toml", value=error.what)
        return visit.page("studio_import", status=400, errors={"source": why}, typed=text)
    visit.audit("brief.imported", f"brief:{draft.id}")
    return visit.go(f"/studio/briefs/{draft.id}", "studio.imported")


@router.action("/studio/briefs/check", may=EDIT)
def check(visit: TheVisit) -> Response:
    """What is wrong with the form as it is typed: the list, and each field's own sentence."""
    found = say.faults(visit, studio_briefs.check(visit.home, _typed(visit)))
    return visit.part(
        "studio_checks",
        faults=found,
        by_field=say.by_field(found),
        fields=[say.field_id(path) for path in paths() if path != "languages"],
    )


@router.action("/studio/briefs", may=EDIT)
def create(visit: TheVisit) -> Response:
    return _save(visit, None)


@router.page("/studio/briefs/{draft_id}", may=VIEW)
def show(visit: TheVisit, draft_id: int) -> Response:
    draft = studio_briefs.view(visit.db, visit.home, draft_id)
    return _form(visit, draft.form, draft)


@router.action("/studio/briefs/{draft_id}", may=EDIT)
def save(visit: TheVisit, draft_id: int) -> Response:
    return _save(visit, draft_id)


@router.page("/studio/briefs/{draft_id}/forecast", may=VIEW)
def forecast(visit: TheVisit, draft_id: int) -> Response:
    """Whom the saved brief reaches, what it may cost and show. A part for the form, a page by itself."""
    draft = studio_briefs.view(visit.db, visit.home, draft_id)
    found = None
    if draft.ready:
        brief = studio_briefs.brief_of(visit.home, draft.source)
        found = studio_forecast.forecast(visit.db, visit.home, brief, now=visit.now)
    more: dict[str, Any] = {
        "draft": draft,
        "forecast": found,
        "wanted": studio_forecast.WANTED,
        "length": lambda seconds: say.length(visit, seconds),
    }
    if visit.htmx:
        return visit.part("studio_forecast_part", **more)
    return visit.page("studio_forecast", **more)


@router.page("/studio/briefs/{draft_id}/export", may=VIEW)
def export(visit: TheVisit, draft_id: int) -> Response:
    draft = studio_briefs.view(visit.db, visit.home, draft_id)
    kept = "".join(c if c.isascii() and c.isalnum() else "-" for c in draft.name).strip("-")
    name = PurePath(f"{kept or 'brief'}.toml").name[-80:]
    return Response(
        draft.source,
        media_type="application/toml; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


@router.action("/studio/briefs/{draft_id}/copy", may=EDIT)
def copy(visit: TheVisit, draft_id: int) -> Response:
    made = studio_briefs.copy(visit.db, visit.home, draft_id, by=visit.operator.name, now=visit.now)
    visit.audit("brief.copied", f"brief:{made.id}", of=draft_id)
    return visit.go(f"/studio/briefs/{made.id}", "studio.copied")


@router.action("/studio/briefs/{draft_id}/remove", may=EDIT)
def remove(visit: TheVisit, draft_id: int) -> Response:
    studio_briefs.remove(visit.db, draft_id)
    visit.audit("brief.removed", f"brief:{draft_id}")
    return visit.go("/studio", "studio.removed")


@router.action("/studio/briefs/{draft_id}/campaign", may=EDIT)
def make(visit: TheVisit, draft_id: int) -> Response:
    """Make the campaign of a saved brief, and have its texts written. Sends nothing."""
    draft = studio_briefs.view(visit.db, visit.home, draft_id)
    try:
        number = studio_briefs.make_campaign(visit.db, visit.home, draft_id, now=visit.now)
        started = studio_start.write(
            visit.db, visit.home, number, by=visit.operator.name, now=visit.now
        )
    except (BadInput, Refused) as error:
        return _form(visit, draft.form, draft, status=409, refused=say.refused(visit, error))
    visit.audit(
        "campaign.started", f"campaign:{number}", how=started.how, run=started.run, send=False
    )
    return visit.go(f"/run/{number}")


def _save(visit: Visit, draft_id: int | None) -> Response:
    form = _typed(visit)
    try:
        draft = studio_briefs.save(
            visit.db,
            visit.home,
            form,
            by=visit.operator.name,
            now=visit.now,
            draft_id=draft_id,
            version=visit.form.number("version") or 0,
        )
    except (BadInput, Refused) as error:
        known = None if draft_id is None else studio_briefs.view(visit.db, visit.home, draft_id)
        why = say.refused(visit, error)
        return _form(visit, form, known, status=409, refused=visit.t("studio.not_saved", why=why))
    visit.audit("brief.saved", f"brief:{draft.id}", version=draft.version)
    return visit.go(f"/studio/briefs/{draft.id}", "studio.saved")


def _typed(visit: Visit) -> dict[str, str]:
    form = {path: visit.form.text(path, _LONGEST) for path in paths() if path != "languages"}
    return form | {"languages": "\n".join(visit.form.every("languages", 8))}


def _form(
    visit: Visit,
    form: Mapping[str, str],
    draft: DraftView | None = None,
    *,
    status: int = 200,
    refused: str = "",
) -> Response:
    found = say.faults(visit, studio_briefs.check(visit.home, form) if draft else ())
    topics = visit.home.settings.privacy.topics
    return visit.page(
        "studio_brief",
        status=status,
        draft=draft,
        form=form,
        ticked=form.get("languages", "").split(),
        faults=found,
        by_field=say.by_field(found),
        refused=refused,
        languages=[language.value for language in Language],
        lists=LISTS,
        choices={
            "purpose": [(p.value, visit.t(f"studio.purpose.{p.value}")) for p in Purpose],
            "tone": [(tone, visit.t(f"studio.tone.{tone}")) for tone in TONES],
            "address": [(a.value, visit.t(f"studio.address.{a.value}")) for a in Address],
            "topic": [("", visit.t("studio.no_topic")), *((topic, topic) for topic in topics)],
            "product.currency": [(code, code) for code in CURRENCIES[Language.EN]],
            "budget.currency": [(code, code) for code in sorted(CURRENCIES[Language.EN])],
        },
        field_id=say.field_id,
    )
