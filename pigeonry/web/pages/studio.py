"""The campaign studio: briefs and campaigns, a campaign's texts side by side as mails, edits, approval, start."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from fastapi import Response

from pigeonry.domain import Violation
from pigeonry.errors import BadInput, NotFound, Refused
from pigeonry.service import (
    briefs,
    campaigns,
    preflight,
    studio_briefs,
    studio_start,
    studio_variants,
)
from pigeonry.service.studio_refusals import StudioRefused
from pigeonry.service.studio_variants import SLOTS, Card, Cell, Studio
from pigeonry.web.auth import EDIT, SEND, VIEW, Console, Nav, TheVisit, Visit
from pigeonry.web.pages import studio_words as say

router = Console(nav=Nav("/studio", "studio.nav"))

_PAGE = 50


@router.page("/studio", may=VIEW)
def index(visit: TheVisit, before: int = 0) -> Response:
    found = studio_briefs.made(visit.db, before=before or None, limit=_PAGE)
    return visit.page(
        "studio",
        drafts=[] if before else studio_briefs.every(visit.db),
        campaigns=found,
        older=f"/studio?before={found[-1].id}" if len(found) == _PAGE else "",
    )


@router.page("/studio/campaigns/{campaign_id}", may=VIEW)
def texts(
    visit: TheVisit, campaign_id: int, cell: str = "", view: str = "phone", scheme: str = "light"
) -> Response:
    return _texts(visit, campaign_id, cell=cell, view=view, scheme=scheme)


@router.page("/studio/campaigns/{campaign_id}/preflight", may=VIEW)
def before_sending(visit: TheVisit, campaign_id: int) -> Response:
    """What is wrong with the sender or the mails, without asking a name server. A part, or a page."""
    _, brief = briefs.load(visit.db, campaign_id)
    found = preflight.preflight(visit.home, brief, look_up=None, now=visit.now)
    wrong = [
        (one, say.check(visit, one.name))
        for one in found
        if not one.ok and one.known and one.name not in preflight.PROVIDERS
    ]
    if visit.htmx:
        return visit.part("studio_preflight", wrong=wrong)
    return visit.page("studio_preflight_page", wrong=wrong, campaign_id=campaign_id)


@router.page("/studio/texts/{variant_id}/mail", may=VIEW)
def mail(visit: TheVisit, variant_id: int, scheme: str = "light") -> Response:
    """The mail as an invented reader gets it, alone in a frame."""
    html, why = studio_variants.preview(
        visit.db, visit.home, variant_id, dark=scheme == "dark", at=visit.now
    )
    if not html:
        html = bytes(visit.part("studio_broken", why=why).body).decode()
    return visit.preview(html)


@router.page("/studio/texts/{variant_id}", may=EDIT)
def edit_form(visit: TheVisit, variant_id: int) -> Response:
    return _edit(visit, variant_id)


@router.action("/studio/texts/{variant_id}", may=EDIT)
def edit(visit: TheVisit, variant_id: int) -> Response:
    slots = _slots(visit)
    try:
        done = studio_variants.edit(
            visit.db,
            variant_id,
            slots,
            stamp=visit.form.text("stamp", 64),
            by=visit.operator.name,
            now=visit.now,
        )
    except StudioRefused as error:
        return _edit(visit, variant_id, slots, said=say.refused(visit, error), status=409)
    if not done.stored:
        found = [(v.field, *say.violation(visit, v)) for v in done.violations]
        return _edit(visit, variant_id, slots, refused=found, status=400)
    visit.audit("campaign.text_edited", f"campaign:{done.variant.campaign_id}", variant=variant_id)
    cell = f"{done.variant.segment_id}-{done.variant.language}"
    return visit.go(
        f"/studio/campaigns/{done.variant.campaign_id}?cell={cell}",
        "studio.edit_saved" if done.changed else "studio.edit_same",
    )


@router.action("/studio/texts/{variant_id}/check", may=EDIT)
def check_edit(visit: TheVisit, variant_id: int) -> Response:
    """What the checks say while somebody is still typing. Stores nothing."""
    found = studio_variants.check_edit(visit.db, variant_id, _slots(visit))
    refused = [(v.field, *say.violation(visit, v)) for v in found]
    return visit.part("studio_edit_checks", refused=refused, checked=True)


@router.action("/studio/campaigns/{campaign_id}/write", may=EDIT)
def write(visit: TheVisit, campaign_id: int) -> Response:
    try:
        started = studio_start.write(
            visit.db, visit.home, campaign_id, by=visit.operator.name, now=visit.now
        )
    except Refused as error:
        return _texts(visit, campaign_id, said=say.refused(visit, error), status=409)
    visit.audit(
        "campaign.started", f"campaign:{campaign_id}", how=started.how, run=started.run, send=False
    )
    return visit.go(f"/run/{campaign_id}", "studio.started")


@router.action("/studio/campaigns/{campaign_id}/approve", may=SEND)
def approve(visit: TheVisit, campaign_id: int) -> Response:
    """The same call as the command line's; for the words that were on the page, and no others."""
    try:
        campaigns.approve(
            visit.db,
            campaign_id,
            by=visit.operator.name,
            now=visit.now,
            seen=visit.form.text("seen", 64) or "nothing",
        )
    except Refused as error:
        return _texts(visit, campaign_id, said=say.refused(visit, error), status=409)
    visit.audit("campaign.approved", f"campaign:{campaign_id}")
    return visit.go(f"/studio/campaigns/{campaign_id}", "studio.approved")


@router.action("/studio/campaigns/{campaign_id}/send-back", may=EDIT)
def send_back(visit: TheVisit, campaign_id: int) -> Response:
    reason = visit.form.text("reason", 2000)
    if not reason:
        errors = {"reason": visit.t("studio.reason_missing")}
        return _texts(visit, campaign_id, errors=errors, status=400)
    try:
        studio_variants.send_back(
            visit.db, campaign_id, reason=reason, by=visit.operator.name, now=visit.now
        )
    except Refused as error:
        return _texts(visit, campaign_id, said=say.refused(visit, error), status=409)
    visit.audit("campaign.sent_back", f"campaign:{campaign_id}")
    return visit.go(f"/studio/campaigns/{campaign_id}", "studio.sent_back")


@router.action("/studio/campaigns/{campaign_id}/start", may=SEND)
def start(visit: TheVisit, campaign_id: int) -> Response:
    """Start sending what is approved. Above the setting's number of people, only with that number typed."""
    shown = visit.form.number("shown") or 0
    try:
        at = _moment(visit, visit.form.text("at", 40))
        there = studio_start.people(visit.db, campaign_id, now=visit.now)
        studio_start.confirm(
            visit.home, visit.form.text("people", 20), shown=shown, now_there=there
        )
        started = studio_start.send(
            visit.db, visit.home, campaign_id, by=visit.operator.name, now=visit.now, at=at
        )
    except Refused as error:
        return _texts(visit, campaign_id, errors={"people": say.refused(visit, error)}, status=409)
    visit.audit(
        "campaign.started", f"campaign:{campaign_id}", how=started.how, run=started.run, send=True,
        people=there,
    )  # fmt: skip
    return visit.go(f"/run/{campaign_id}", "studio.started_at" if at else "studio.started")


@router.action("/studio/campaigns/{campaign_id}/copy", may=EDIT)
def copy(visit: TheVisit, campaign_id: int) -> Response:
    """A new brief from the one that a campaign was made from."""
    try:
        draft = studio_briefs.copy_of_campaign(
            visit.db, visit.home, campaign_id, by=visit.operator.name, now=visit.now
        )
    except BadInput as error:
        return _texts(visit, campaign_id, said=say.refused(visit, error), status=409)
    visit.audit("brief.copied", f"brief:{draft.id}", campaign=campaign_id)
    return visit.go(f"/studio/briefs/{draft.id}", "studio.copied")


def _texts(
    visit: Visit,
    campaign_id: int,
    *,
    cell: str = "",
    view: str = "phone",
    scheme: str = "light",
    said: str = "",
    errors: Mapping[str, str] | None = None,
    status: int = 200,
) -> Response:
    found = studio_variants.studio(visit.db, campaign_id)
    ready = found.approved and studio_start.before_sending(found.row.stage)
    open_ = found.row.state not in ("done", "cancelled", "paused")
    people = studio_start.people(visit.db, campaign_id, now=visit.now) if ready and open_ else 0
    return visit.page(
        "studio_texts",
        status=status,
        frames=True,
        studio=found,
        cell=_cell(found, cell),
        cell_key=_key,
        view=view if view in ("phone", "desktop") else "phone",
        scheme=scheme if scheme in ("light", "dark") else "light",
        ready=ready and open_,
        people=people,
        held_out=round(people * found.brief.experiment.holdout),
        typed=people > visit.home.settings.sending.confirm_above,
        said_bad=said,
        errors=errors or {},
        writer=lambda card: say.writer(visit, card.variant.tier, card.variant.model),
        refusals=lambda card: _refusals(visit, card),
    )


def _refusals(visit: Visit, card: Card) -> list[tuple[str, str]]:
    seen = [Violation(check.check, check.field, check.detail) for check in card.refused]
    return list(dict.fromkeys(say.violation(visit, one) for one in seen))


def _key(cell: Cell) -> str:
    return f"{cell.segment.id}-{cell.language}"


def _cell(found: Studio, key: str) -> Cell | None:
    chosen = next((cell for cell in found.cells if _key(cell) == key), None)
    return chosen or next(iter(found.cells), None)


def _edit(
    visit: Visit,
    variant_id: int,
    typed: Mapping[str, str] | None = None,
    *,
    refused: list[tuple[str, str, str]] | None = None,
    said: str = "",
    status: int = 200,
) -> Response:
    """The form, with what a person typed before what is stored."""
    card, cell, campaign_id = _card(visit, variant_id)
    stored = card.variant.copy
    words = {
        "subject": stored.subject,
        "preheader": stored.preheader,
        "hook": stored.hook,
        "body": "\n\n".join(stored.body),
        "cta": stored.cta,
    }
    found = refused or []
    by_slot: dict[str, str] = {}
    for field, name, why in found:
        by_slot[field] = "; ".join(filter(None, (by_slot.get(field, ""), f"{name}: {why}")))
    return visit.page(
        "studio_edit",
        status=status,
        frames=True,
        card=card,
        cell=cell,
        campaign_id=campaign_id,
        typed=words | dict(typed or {}),
        refused=found,
        errors=by_slot,
        said_bad=said,
        # Words over others' words would be a quiet overwrite: the stamp is of what the form showed.
        stamp=visit.form.text("stamp", 64) or card.stamp,
    )


def _card(visit: Visit, variant_id: int) -> tuple[Card, Cell, int]:
    found = studio_variants.studio_of_text(visit.db, variant_id)
    for cell in found.cells:
        for card in cell.cards:
            if card.variant.id == variant_id:
                return card, cell, found.row.id
    raise NotFound("no such variant", where=f"variant {variant_id}")


def _slots(visit: Visit) -> dict[str, str]:
    return {slot: visit.form.text(slot, 4000) for slot in SLOTS if slot in visit.form.fields()}


def _moment(visit: Visit, text: str) -> datetime | None:
    """A local time of the form, in the pages' time zone."""
    if not text:
        return None
    try:
        local = datetime.fromisoformat(text)
    except ValueError as error:
        raise StudioRefused(
            "time_wrong", f"{text!r} is no time", where="at", fix="write 2026-12-15T09:00"
        ) from error
    if local.tzinfo is None:
        local = local.replace(tzinfo=ZoneInfo(visit.home.settings.web.time_zone))
    return local.astimezone(UTC)
