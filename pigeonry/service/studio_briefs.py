"""Briefs in the studio: saved at any moment, right or wrong, with everything that is wrong said by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from generation import brief_form
from generation.brief import MAX_BYTES, BriefError, parse_brief
from generation.toml_reader import Problem
from pigeonry.config import Home
from pigeonry.errors import BadInput
from pigeonry.service import campaigns
from pigeonry.service.studio_refusals import StudioRefused
from pigeonry.store import campaigns as campaign_store
from pigeonry.store import drafts
from pigeonry.store.drafts import DraftRow
from pigeonry.store.session import Database

if TYPE_CHECKING:
    from pigeonry.domain import Brief

_CLOSED = ("done", "cancelled")


@dataclass(frozen=True, slots=True)
class DraftView:
    """A draft with its fields and what is wrong with them. `campaign` is the one made from it last."""

    id: int
    name: str
    version: int
    form: Mapping[str, str]
    problems: tuple[Problem, ...]
    source: str
    campaign: campaign_store.CampaignRow | None
    updated_by: str
    updated_at: datetime

    @property
    def ready(self) -> bool:
        return not self.problems


def check(home: Home, form: Mapping[str, str]) -> tuple[Problem, ...]:
    """What is wrong with a form that nobody has saved yet."""
    return _problems(home, brief_form.to_toml(form))


def save(
    db: Database,
    home: Home,
    form: Mapping[str, str],
    *,
    by: str,
    now: datetime,
    draft_id: int | None = None,
    version: int = 0,
) -> DraftView:
    """Save a form as it stands; a new draft without `draft_id`.

    Raises Refused when somebody else saved over `version`, BadInput when it is too long to be a brief.
    """
    source = brief_form.to_toml(form)
    if len(source.encode()) > MAX_BYTES:
        raise BadInput(f"longer than {MAX_BYTES // 1024} kB", where="brief", fix="shorten it")
    name = " ".join(form.get("name", "").split())
    with db.write() as session:
        if draft_id is None:
            draft_id = drafts.add(session, name=name, source=source, by=by, at=now)
        else:
            drafts.change(
                session, draft_id, name=name, source=source, version=version, by=by, at=now
            )
    return view(db, home, draft_id)


def take_in(db: Database, home: Home, source: str, *, by: str, now: datetime) -> DraftView:
    """A new draft from TOML, kept word for word. Raises BadInput where it is no TOML."""
    form = brief_form.to_form(source.removeprefix("\ufeff"), where="brief")
    with db.write() as session:
        number = drafts.add(
            session, name=form.get("name", ""), source=source.removeprefix("\ufeff"), by=by, at=now
        )
    return view(db, home, number)


def copy(db: Database, home: Home, draft_id: int, *, by: str, now: datetime) -> DraftView:
    """A new draft with the same words under another name: two campaigns of one name are one campaign."""
    with db.read() as session:
        form = dict(_form(drafts.get(session, draft_id)))
        names = {row.name for row in drafts.every(session, limit=1000)}
    base, number = form.get("name", ""), 2
    while (name := f"{base} ({number})") in names:
        number += 1
    return save(db, home, form | {"name": name}, by=by, now=now)


def copy_of_campaign(
    db: Database, home: Home, campaign_id: int, *, by: str, now: datetime
) -> DraftView:
    """A new draft from the brief that a campaign was made from."""
    with db.read() as session:
        source = campaign_store.brief_source(session, campaign_id)
    return take_in(db, home, source, by=by, now=now)


def view(db: Database, home: Home, draft_id: int) -> DraftView:
    """Raises NotFound."""
    with db.read() as session:
        row = drafts.get(session, draft_id)
        made = None if row.campaign_id is None else campaign_store.get(session, row.campaign_id)
    return DraftView(
        id=row.id,
        name=row.name,
        version=row.version,
        form=_form(row),
        problems=_problems(home, row.source),
        source=row.source,
        campaign=made,
        updated_by=row.updated_by,
        updated_at=row.updated_at,
    )


def every(db: Database, *, before: int | None = None, limit: int = 50) -> list[DraftRow]:
    """The newest drafts; pass the last one's number for the page after it."""
    with db.read() as session:
        return drafts.every(session, limit=limit, before=before)


def made(
    db: Database, *, before: int | None = None, limit: int = 50
) -> list[campaign_store.CampaignRow]:
    """The newest campaigns, whoever made them; pass the last one's number for the page after it."""
    with db.read() as session:
        return campaign_store.newest(session, limit=limit, before=before)


def remove(db: Database, draft_id: int) -> None:
    """Forget a draft. The campaign that was made from it keeps its brief."""
    with db.write() as session:
        drafts.get(session, draft_id)
        drafts.remove(session, draft_id)


def brief_of(home: Home, source: str) -> Brief:
    """The brief that a draft's TOML is. Raises BriefError (or BadInput) that names every problem."""
    brief = parse_brief(source, where="brief")
    if wrong := _problems(home, source):
        raise BriefError(wrong, where="brief")
    return brief


def make_campaign(db: Database, home: Home, draft_id: int, *, now: datetime) -> int:
    """The campaign of this draft: the one that is under way, else a new one.

    Raises BriefError while something is wrong, Refused when the draft has changed under its campaign or
    the campaign of that name is over.
    """
    with db.read() as session:
        row = drafts.get(session, draft_id)
        made = None if row.campaign_id is None else campaign_store.get(session, row.campaign_id)
        before = None if made is None else campaign_store.brief_source(session, made.id)
    brief = brief_of(home, row.source)
    if made is not None and made.state not in _CLOSED:
        if before == row.source:
            return made.id
        raise StudioRefused(
            "older_text",
            f"campaign {made.id} was made from an older text of this brief",
            where=f"brief {draft_id}",
            fix="cancel that campaign first, or copy this brief under another name",
            campaign=str(made.id),
        )
    occurrence = _free(db, brief.name, row.source)
    number = campaigns.create_campaign(
        db, home, row.source, where=f"brief {draft_id}", occurrence=occurrence, now=now
    )
    with db.write() as session:
        drafts.set_campaign(session, draft_id, number)
    return number


def _free(db: Database, name: str, source: str) -> str:
    """The first occurrence of that name that is free, or that the same text has already: two clicks are one
    campaign. A done one is never repeated silently."""
    with db.read() as session:
        place = 1
        while (
            found := campaign_store.find(session, name=name, occurrence=_occurrence(place))
        ) is not None:
            state = campaign_store.get(session, found).state
            same = campaign_store.brief_source(session, found) == source
            if same and state not in _CLOSED:
                break
            if state != "cancelled":
                over = state == "done"
                raise StudioRefused(
                    "name_done" if over else "name_taken",
                    f"campaign {found} of that name {'is done' if over else 'is under way'}",
                    where=name,
                    fix="give this brief another name: two campaigns of one name are one campaign",
                    campaign=str(found),
                )
            place += 1
    return _occurrence(place)


def _occurrence(place: int) -> str:
    return "" if place == 1 else str(place)


def _form(row: DraftRow) -> dict[str, str]:
    return brief_form.to_form(row.source, where=f"brief {row.id}")


def _problems(home: Home, source: str) -> tuple[Problem, ...]:
    """The brief's own faults, and what this home does not offer."""
    found = list(brief_form.problems(source))
    if not found:
        topic = parse_brief(source, where="brief").topic
        offered = home.settings.privacy.topics
        if topic and topic not in offered:
            known = ", ".join(offered) or "none"
            what = f"{topic!r} is not one that people can decline; known are {known}"
            found.append(Problem("topic", 0, what, "topic", {"value": topic, "known": known}))
    return tuple(found)
