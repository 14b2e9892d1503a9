"""A campaign's texts side by side, and what a person does to them: edit, send back. Approving is
`service.campaigns.approve`, for every door the same.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

from pigeonry.config import Home
from pigeonry.delivery.links import Links
from pigeonry.delivery.render import Recipient, compile_mail
from pigeonry.domain import Brief, Copy, Language, Variant, Violation
from pigeonry.domain.segment import Segment
from pigeonry.domain.variant import PERSON
from pigeonry.errors import PigeonryError, WrongUse
from pigeonry.service.briefs import load
from pigeonry.service.stages import STAGES
from pigeonry.service.studio_refusals import StudioRefused
from pigeonry.store import acts, ledger, segments, variants
from pigeonry.store import campaigns as campaign_store
from pigeonry.store.acts import Act, Action
from pigeonry.store.campaigns import ArmPlan, CampaignRow
from pigeonry.store.session import Database, Session
from pigeonry.store.variants import Check

SLOTS = ("subject", "preheader", "hook", "body", "cta")
# Nobody: the address is reserved by RFC 2606, and lead 0 does not exist.
_SAMPLE = Recipient(lead_id=0, email="ana@example.com", first_name="Ana")
_CEDILLA = str.maketrans("şţŞŢ", "șțȘȚ")
_DARK = "@media (prefers-color-scheme: dark)"


@dataclass(frozen=True, slots=True)
class Card:
    """One text with what stands behind it. `refused` lists what earlier proposals for it broke; `stamp`
    changes with every word; `edited` is the last edit by a person."""

    variant: Variant
    passed: tuple[str, ...]
    refused: tuple[Check, ...]
    attempts: int
    stamp: str
    edited: Act | None


@dataclass(frozen=True, slots=True)
class Cell:
    """The arms of one segment and language."""

    segment: Segment
    language: Language
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Studio:
    """A campaign's texts. `seen` is what an approval has to name; `open`: texts may still be edited."""

    row: CampaignRow
    brief: Brief
    arms: Mapping[str, ArmPlan]
    cells: tuple[Cell, ...]
    acts: tuple[Act, ...]
    seen: str
    cost_micros: int
    currency: str
    open: bool

    @property
    def approved(self) -> bool:
        return self.row.approved_at is not None

    @property
    def sent_back(self) -> Act | None:
        """Why the texts were sent back, while nobody has approved them since."""
        last = next((a for a in self.acts if a.action in (Action.SENT_BACK, Action.APPROVED)), None)
        return last if last and last.action is Action.SENT_BACK and not self.approved else None


@dataclass(frozen=True, slots=True)
class Edit:
    """What became of an edit: stored, or refused by these checks. `variant` is what is stored now."""

    variant: Variant
    wanted: Copy
    violations: tuple[Violation, ...]
    changed: bool = True

    @property
    def stored(self) -> bool:
        return not self.violations


def studio(db: Database, campaign_id: int) -> Studio:
    """Raises NotFound. Cells are in the order of their segments' sizes, as the brief orders languages."""
    row, brief = load(db, campaign_id)
    with db.read() as session:
        texts = variants.of_campaign(session, campaign_id)
        checks = variants.checks(session, campaign_id)
        arms = campaign_store.arms(session, campaign_id)
        spent = ledger.spent(session, campaign_id)
        done = acts.of_campaign(session, campaign_id)
        known = {number: segments.get(session, number) for number in {t.segment_id for t in texts}}
        tries: dict[int, int] = {}
        for variant_id, _ in ledger.entries(session, campaign_id):
            if variant_id is not None:
                tries[variant_id] = tries.get(variant_id, 0) + 1
    edits = {act.variant_id: act for act in reversed(done) if act.action is Action.EDITED}
    cells: dict[tuple[int, Language], list[Card]] = {}
    for text in texts:
        made = checks.get(text.id, [])
        card = Card(
            variant=text,
            passed=tuple(check.check for check in made if check.passed),
            refused=tuple(check for check in made if not check.passed),
            attempts=tries.get(text.id, 0),
            stamp=variants.print_of([text]),
            edited=edits.get(text.id),
        )
        cells.setdefault((text.segment_id, text.language), []).append(card)
    places = {language: place for place, language in enumerate(brief.languages)}
    ordered = sorted(
        cells.items(),
        key=lambda item: (-known[item[0][0]].size, item[0][0], places.get(item[0][1], 9)),
    )
    return Studio(
        row=row,
        brief=brief,
        arms=arms,
        cells=tuple(Cell(known[s], language, tuple(found)) for (s, language), found in ordered),
        acts=tuple(done),
        seen=variants.print_of(texts),
        cost_micros=spent.cost_micros,
        currency=spent.currency or brief.budget_currency,
        open=_open(row),
    )


def studio_of_text(db: Database, variant_id: int) -> Studio:
    """The campaign that a text belongs to. Raises NotFound."""
    with db.read() as session:
        number = variants.get(session, variant_id).campaign_id
    return studio(db, number)


def preview(
    db: Database, home: Home, variant_id: int, *, dark: bool, at: datetime
) -> tuple[str, str]:
    """The mail's HTML for an invented reader, in light or dark colours, and "" or why there is none.

    A mail program asks its own system for the colours; a preview has to say it, so the question in the
    style sheet is answered here.
    """
    with db.read() as session:
        variant = variants.get(session, variant_id)
    _, brief = load(db, variant.campaign_id)
    # A key of the moment: the unsubscribe link of a sample must not work.
    links = Links(home.settings.links.base_url, {1: secrets.token_bytes(32)})
    try:
        mail = compile_mail(
            variant.copy, brief, variant.language, campaign_id=variant.campaign_id, arm=variant.arm
        ).render(_SAMPLE, links, send_key="0" * 32, at=at)
    except PigeonryError as error:
        return "", error.what
    return mail.html.replace(_DARK, "@media all" if dark else "@media not all"), ""


def stamp(db: Database, variant_id: int) -> str:
    """What an edit of this text has to name. Raises NotFound."""
    with db.read() as session:
        return variants.print_of([variants.get(session, variant_id)])


def edit(
    db: Database,
    variant_id: int,
    slots: Mapping[str, str],
    *,
    stamp: str,
    by: str,
    now: datetime,
) -> Edit:
    """Put a person's words into slots of a text, when every check passes; else nothing is changed.

    Missing slots stay. Paragraphs of `body` are apart by an empty line. Raises Refused when the texts are
    approved or on their way, or somebody changed this one since `stamp`.
    """
    if unknown := set(slots) - set(SLOTS):
        raise WrongUse(f"no slot {sorted(unknown)[0]!r}", where="slot", fix=f"one of {SLOTS}")
    with db.write() as session:
        variant = variants.get(session, variant_id)
        row = campaign_store.lock(session, variant.campaign_id)
        variant = variants.get(session, variant_id)
        _refuse_closed(row)
        if stamp != variants.print_of([variant]):
            raise StudioRefused(
                "changed_meanwhile",
                "somebody has changed this text since you opened it",
                where=f"variant {variant_id}",
                fix="open it again and put your words in",
            )
        wanted = _with(variant.copy, slots)
        if wanted == variant.copy:
            return Edit(variant, wanted, (), changed=False)
        wrong = _wrong(session, variant, wanted)
        if wrong:
            return Edit(variant, wanted, wrong)
        variants.rewrite(session, variant_id, wanted)
        acts.add(
            session,
            variant.campaign_id,
            Action.EDITED,
            by=by,
            at=now,
            variant_id=variant_id,
            detail={
                "before": asdict(variant.copy),
                "after": asdict(wanted),
                "tier": variant.tier,
            },
        )
    return Edit(replace(variant, copy=wanted, tier=PERSON, model=""), wanted, ())


def check_edit(db: Database, variant_id: int, slots: Mapping[str, str]) -> tuple[Violation, ...]:
    """What `edit` would refuse these words for, while a person is still typing."""
    with db.read() as session:
        variant = variants.get(session, variant_id)
        return _wrong(session, variant, _with(variant.copy, slots))


def send_back(
    db: Database,
    campaign_id: int,
    *,
    reason: str,
    by: str,
    now: datetime,
    variant_id: int | None = None,
) -> None:
    """Say what has to be another way before these texts may leave. Takes back an approval on which nothing
    was done yet. Raises Refused once lots are drawn: then pausing and cancelling are what helps."""
    words = " ".join(reason.split())
    if not words:
        raise WrongUse("a reason is missing", where="reason", fix="say what should change")
    with db.write() as session:
        row = campaign_store.lock(session, campaign_id)
        _refuse_closed(row, approved_too=False)
        campaign_store.update_state(session, campaign_id, approved_by="", approved_at=None)
        acts.add(
            session, campaign_id, Action.SENT_BACK, by=by, at=now, reason=words[:2000],
            variant_id=variant_id,
        )  # fmt: skip


def _open(row: CampaignRow) -> bool:
    written = row.stage in STAGES[STAGES.index("write") : STAGES.index("approve") + 1]
    return written and row.approved_at is None and row.state not in ("cancelled", "done")


def _refuse_closed(row: CampaignRow, *, approved_too: bool = True) -> None:
    where, fix = f"campaign {row.id}", f"`pigeonry campaign show {row.id}` says where it stands"
    if row.state in ("cancelled", "done"):
        raise StudioRefused(f"is_{row.state}", f"it is {row.state}", where=where, fix=fix)
    if row.stage not in STAGES[: STAGES.index("approve") + 1]:
        raise StudioRefused(
            "too_late",
            "its mails are planned or on their way already",
            where=where,
            fix="pause or cancel the campaign; what has left has left",
        )
    if approved_too and row.approved_at is not None:
        raise StudioRefused(
            "approved",
            f"{row.approved_by} has approved these texts",
            where=where,
            fix="send them back first, then edit",
            by=row.approved_by,
        )


def _wrong(session: Session, variant: Variant, wanted: Copy) -> tuple[Violation, ...]:
    """Every check that a writer's text passes, the look of the last gate before a mail leaves, and whether
    the mail can be laid out at all."""
    from generation.brief import parse_brief
    from generation.checks import check_copy

    where = f"campaign {variant.campaign_id}"
    brief = parse_brief(campaign_store.brief_source(session, variant.campaign_id), where=where)
    beside = [
        other.copy
        for other in variants.of_campaign(session, variant.campaign_id)
        if other.id != variant.id
        and (other.segment_id, other.language) == (variant.segment_id, variant.language)
    ]
    found = check_copy(wanted, brief, variant.language, siblings=beside)
    if found:
        return found
    try:
        compile_mail(wanted, brief, variant.language, campaign_id=variant.campaign_id)
    except PigeonryError as error:
        return (Violation("layout", _slot(error.where), error.what),)
    return ()


def _slot(where: str) -> str:
    name = where.partition("[")[0].lower()
    return name if name in SLOTS else ""


def _with(copy: Copy, slots: Mapping[str, str]) -> Copy:
    line = {name: _line(text) for name, text in slots.items() if name != "body"}
    body = copy.body if "body" not in slots else _paragraphs(slots["body"])
    return replace(copy, **line, body=body)


def _paragraphs(text: str) -> tuple[str, ...]:
    parts: Sequence[str] = text.replace("\r\n", "\n").split("\n\n")
    return tuple(found for part in parts if (found := _line(part)))


def _line(text: str) -> str:
    """As a brief's words are mended: NFC, single spaces, comma-below letters."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_CEDILLA).split())
