"""Writes the arms of one cell (segment and language): a model proposes subject and preview line where
it may, the copy library writes the rest and everything that no model's proposal passed for."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from generation.cascade import Cell, Surroundings, Tier, propose
from generation.checks import check_copy
from generation.library import Library, LibraryError, Written, order_benefits, write
from generation.prompts import Prompt
from pigeonry.domain import (
    Brief,
    CacheStatus,
    CallOutcome,
    Copy,
    Draft,
    Language,
    LedgerEntry,
    Violation,
)
from pigeonry.domain.segment import Segment

LIBRARY_TIER = "library"


def draft_cell(
    brief: Brief,
    segment: Segment,
    language: Language,
    arms: Mapping[str, Prompt],
    *,
    library: Library,
    tiers: Sequence[Tier],
    around: Surroundings,
    turn: int = 0,
    kept: Sequence[Copy] = (),
    kept_templates: Sequence[str] = (),
) -> tuple[Draft, ...]:
    """One draft an arm, each distinct from its siblings and from `kept` (variants stored before).

    Every draft passes `check_copy`. Raises LibraryError when the library itself has nothing that
    fits the brief: then nothing can be written, and the error says what is too long.
    """
    about = ". ".join((segment.name, segment.description, " ".join(segment.terms)))
    order = order_benefits(brief, about)
    drafts: list[Draft] = []
    siblings, templates = list(kept), list(kept_templates)
    for letter, prompt in arms.items():
        cell = Cell(brief, language, segment, prompt, order, tuple(siblings))
        started = time.monotonic()
        written, faults = _library_mail(library, cell, turn, templates)
        seconds = time.monotonic() - started
        proposed = propose(tiers, cell, around)
        ledger, violations = list(proposed.ledger), list(proposed.violations)
        tier, model, cache, copy = LIBRARY_TIER, "", CacheStatus.NONE, written.copy
        if proposed.proposal is not None:
            mixed = replace(copy, subject=proposed.proposal.subject)
            if proposed.keeps_preheader:
                mixed = replace(mixed, preheader=proposed.proposal.preheader)
            wrong = check_copy(mixed, brief, language, siblings=siblings)
            if wrong:
                violations += wrong
                ledger[-1] = replace(
                    ledger[-1],
                    outcome=CallOutcome.REFUSED,
                    reason="; ".join(f"{v.field or 'mail'}: {v.detail}" for v in wrong)[:500],
                )
            else:
                copy, tier, model, cache = mixed, proposed.tier, proposed.model, proposed.cache
        if tier == LIBRARY_TIER:
            ledger.append(_library_entry(cell, around, seconds, faults))
        drafts.append(
            Draft(
                segment_id=segment.id,
                language=language,
                arm=letter,
                prompt=prompt.name,
                prompt_version=prompt.version,
                template=written.template,
                tier=tier,
                model=model,
                copy=copy,
                cache=cache,
                ledger=tuple(ledger),
                violations=tuple(violations),
            )
        )
        siblings.append(copy)
        templates.append(written.template)
    return tuple(drafts)


def _library_mail(
    library: Library, cell: Cell, turn: int, templates: Sequence[str]
) -> tuple[Written, tuple[Violation, ...]]:
    """The library's mail for a cell. A piece that fails a check with this brief's words gives way to
    the next; what failed is returned for the ledger."""
    faults: list[Violation] = []
    avoided = list(templates)
    taken = list(cell.siblings)
    for step in range(6):
        written = write(
            library, cell.brief, cell.language, cell.prompt.angle,
            order=cell.order, turn=turn + step, avoid=taken, avoid_templates=avoided,
        )  # fmt: skip
        wrong = check_copy(written.copy, cell.brief, cell.language, siblings=cell.siblings)
        if not wrong:
            return written, tuple(faults)
        faults += wrong
        taken.append(written.copy)
        if step % 2:
            avoided.append(written.template)
    raise LibraryError(
        "no mail of the copy library passes every check with this brief: "
        + "; ".join(f"{v.field or 'mail'}: {v.detail}" for v in dict.fromkeys(faults)),
        where=f"{cell.brief.name}, {cell.language.value}",
        fix="change the brief's words that these checks name",
    )


def _library_entry(
    cell: Cell, around: Surroundings, seconds: float, faults: Sequence[Violation]
) -> LedgerEntry:
    passed_over = "; ".join(f"{v.field or 'mail'}: {v.detail}" for v in faults)
    return LedgerEntry(
        tier=LIBRARY_TIER,
        model="",
        prompt=cell.prompt.ref,
        task="copy",
        outcome=CallOutcome.ACCEPTED,
        cache=CacheStatus.NONE,
        tokens_in=0,
        tokens_out=0,
        cost_micros=0,
        currency=cell.brief.budget_currency,
        seconds=round(seconds, 4),
        reason=f"passed over: {passed_over}"[:500] if passed_over else "",
        at=around.now(),
        segment_id=cell.segment.id,
        language=cell.language,
        proposal="",
    )
