"""Asks the tiers for a subject and a preview line, cheapest first, and takes the first that passes.

Every attempt is in the ledger, also those that were never made, with the reason in a marketer's words.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from generation import llm
from generation.budget import Allowance, Budget
from generation.cache import Cached, CompletionCache, claim_or_wait, request_key
from generation.checks import Held, Proposal, check_proposal
from generation.claims import facts_of
from generation.egress import EgressRefused, refuse_personal
from generation.library import slots_of
from generation.prompts import Messages, Prompt, render, schema, small_schema
from generation.small import readers, slots_of_small
from generation.words import words
from pigeonry.domain import (
    Brief,
    CacheStatus,
    CallOutcome,
    Copy,
    Language,
    LedgerEntry,
    Violation,
)
from pigeonry.domain.segment import Segment

TASK = "subject"
SMALL_TEMPERATURE, LARGE_TEMPERATURE = 0.5, 0.8
SMALL_PENALTY = 0.9  # the 135M model repeats itself; 0.9 was better than 0.4 in every run
ABOUT_MAX = 200  # characters of a segment's description that a prompt holds


@dataclass(frozen=True, slots=True)
class Tier:
    """One model writer. `small` writers are held to a grammar made of the brief's words; `tries` is
    how many proposals are asked for one variant. `region` "" is this machine."""

    name: str
    endpoint: llm.Endpoint
    languages: tuple[str, ...]
    tasks: tuple[str, ...] = (TASK,)
    small: bool = False
    region: str = ""
    tries: int = 1
    allowance: Allowance | None = None


@dataclass(frozen=True, slots=True)
class Cell:
    """What is asked for: a prompt's text for one segment and language. `order` puts the brief's
    benefits into the order that fits the segment."""

    brief: Brief
    language: Language
    segment: Segment
    prompt: Prompt
    order: tuple[int, ...] = ()
    siblings: tuple[Copy, ...] = ()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a cascade needs from outside: cache, budget, clock, regions, known personal values."""

    cache: CompletionCache
    budget: Budget
    now: Callable[[], datetime]
    regions: tuple[str, ...] = ("eu",)
    personal: Collection[str] = ()
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Proposed:
    """The first proposal that passed, or None; and everything that was tried for it."""

    proposal: Proposal | None
    tier: str
    model: str
    cache: CacheStatus
    ledger: tuple[LedgerEntry, ...]
    violations: tuple[Violation, ...]
    keeps_preheader: bool = True


def propose(tiers: Sequence[Tier], cell: Cell, around: Surroundings) -> Proposed:
    """Go through the tiers in the given order (cheapest first) until one proposal passes."""
    entries: list[LedgerEntry] = []
    refused: list[Violation] = []
    for tier in tiers:
        why = _not_allowed(tier, cell, around)
        if why:
            entries.append(_entry(tier, cell, around, CallOutcome.SKIPPED, reason=why))
            continue
        for attempt in range(tier.tries):
            taken = _try(tier, cell, around, attempt)
            entries.append(taken.entry)
            refused += taken.violations
            if taken.proposal is not None:
                return Proposed(
                    taken.proposal, tier.name, taken.entry.model, taken.entry.cache, tuple(entries),
                    tuple(refused), taken.keeps_preheader,
                )  # fmt: skip
            if taken.entry.outcome is CallOutcome.SKIPPED or not taken.again:
                break
    return Proposed(None, "", "", CacheStatus.NONE, tuple(entries), tuple(refused))


@dataclass(frozen=True, slots=True)
class _Taken:
    entry: LedgerEntry
    proposal: Proposal | None = None
    violations: tuple[Violation, ...] = ()
    again: bool = True
    keeps_preheader: bool = True


def _not_allowed(tier: Tier, cell: Cell, around: Surroundings) -> str:
    if tier.region and tier.region not in around.regions:
        return f"runs in {tier.region!r}, which is not an allowed region"
    if cell.language.value not in tier.languages:
        return f"does not write {_LANGUAGE[cell.language]}"
    if cell.prompt.task not in tier.tasks:
        return f"does not write a {cell.prompt.task}"
    if tier.small and cell.prompt.small is None:
        return "the prompt has no grammar for a small model"
    return ""


_LANGUAGE = {Language.RO: "Romanian", Language.EN: "English"}


def _try(tier: Tier, cell: Cell, around: Surroundings, attempt: int) -> _Taken:
    messages, made, held = _ask(tier, cell)
    request = llm.Request(
        messages.system,
        messages.user,
        made,
        temperature=SMALL_TEMPERATURE if tier.small else LARGE_TEMPERATURE,
        seed=attempt + 1,
        presence_penalty=SMALL_PENALTY if tier.small else 0.0,
    )
    key = _key(tier, cell, request, attempt)
    try:
        refuse_personal([messages.system, messages.user, json.dumps(made)], around.personal)
    except EgressRefused as error:
        return _Taken(
            _entry(tier, cell, around, CallOutcome.SKIPPED, reason=error.what), again=False
        )
    seconds = tier.endpoint.timeout_seconds * llm.ATTEMPTS + 5
    found = claim_or_wait(
        around.cache, key, lease_seconds=seconds, wait_seconds=seconds, sleep=around.sleep
    )
    if isinstance(found, Cached):
        proposal = Proposal(found.response.get("subject", ""), found.response.get("preheader", ""))
        return _judged(tier, cell, around, proposal, messages, held, cached=found)
    if found is False:
        reason = "another process asks the same and did not answer in time"
        return _Taken(_entry(tier, cell, around, CallOutcome.FAILED, reason=reason), again=False)
    kept = False
    try:
        taken, answer = _called(tier, cell, around, request, messages, held)
        if taken.proposal is not None and answer is not None:
            response = {"subject": taken.proposal.subject, "preheader": taken.proposal.preheader}
            around.cache.keep(
                key,
                Cached(
                    answer.model, response, answer.tokens_in, answer.tokens_out, answer.cost_micros
                ),
            )
            kept = True
        return taken
    finally:
        if not kept:
            around.cache.release(key)


def _called(
    tier: Tier,
    cell: Cell,
    around: Surroundings,
    request: llm.Request,
    messages: Messages,
    held: Held | None,
) -> tuple[_Taken, llm.Answer | None]:
    reserved = llm.most_micros(tier.endpoint, request) * llm.ATTEMPTS
    if not around.budget.reserve(reserved):
        reason = "the campaign's budget does not cover another call"
        return _Taken(_entry(tier, cell, around, CallOutcome.SKIPPED, reason=reason)), None
    why = tier.allowance.take() if tier.allowance else ""
    if why:
        around.budget.settle(reserved, 0)
        return _Taken(_entry(tier, cell, around, CallOutcome.SKIPPED, reason=why)), None
    started = time.monotonic()
    try:
        answer = llm.complete(tier.endpoint, request, sleep=around.sleep)
    except llm.ModelError as error:
        seconds = time.monotonic() - started
        spent = reserved if error.maybe_charged else 0
        around.budget.settle(reserved, spent)
        if tier.allowance:
            tier.allowance.spend(seconds)
        entry = _entry(tier, cell, around, CallOutcome.FAILED, reason=error.what, seconds=seconds,
                       cost_micros=spent, model="")  # fmt: skip
        return _Taken(entry, again=False), None
    around.budget.settle(reserved, answer.cost_micros)
    if tier.allowance:
        tier.allowance.spend(answer.seconds)
    proposal, why = read_answer(answer, cell, small=tier.small)
    if proposal is None:
        entry = _entry(tier, cell, around, CallOutcome.REFUSED, answer=answer, reason=why,
                       proposal=answer.text, cache=CacheStatus.MISS)  # fmt: skip
        return _Taken(entry, violations=(Violation("schema", "", why),)), answer
    return _judged(tier, cell, around, proposal, messages, held, answer=answer), answer


def _judged(
    tier: Tier,
    cell: Cell,
    around: Surroundings,
    proposal: Proposal,
    messages: Messages,
    held: Held | None,
    *,
    answer: llm.Answer | None = None,
    cached: Cached | None = None,
) -> _Taken:
    """Check a proposal. A preview line that fails alone is replaced from the copy library."""
    asked = "\n".join(cell.prompt.sections[name] for name in ("Context", "Limits", "Examples"))
    found = check_proposal(
        proposal,
        cell.brief,
        cell.language,
        siblings=cell.siblings,
        prompt_text=asked,
        held=held,
    )
    fatal = [violation for violation in found if violation.field != "preheader"]
    reasons = "; ".join(f"{v.field or 'text'}: {v.detail}" for v in fatal or found)
    if not fatal and found:
        reasons = f"the preview line was refused ({reasons}); the copy library's is used"
    entry = _entry(
        tier, cell, around, CallOutcome.REFUSED if fatal else CallOutcome.ACCEPTED,
        answer=answer, cached=cached, reason=reasons,
        proposal=f"{proposal.subject} | {proposal.preheader}",
        cache=CacheStatus.HIT if cached else CacheStatus.MISS,
    )  # fmt: skip
    return _Taken(entry, None if fatal else proposal, found, keeps_preheader=not found)


def read_answer(answer: llm.Answer, cell: Cell, *, small: bool) -> tuple[Proposal | None, str]:
    """The proposal in an answer, or why there is none. A truncated answer is never read."""
    if answer.finish_reason == "length":
        return None, "the answer was cut at its longest length"
    try:
        data = json.loads(answer.text)
    except json.JSONDecodeError:
        return None, "the answer is not the JSON that was asked for"
    if not isinstance(data, dict) or set(data) - {"subject", "preheader"}:
        return None, "the answer has other keys than those asked for"
    subject, preheader = data.get("subject"), data.get("preheader")
    if not isinstance(subject, str) or not isinstance(preheader, str):
        return None, "the answer lacks the subject or the preview line"
    if small:
        product = cell.brief.wording[cell.language].product
        subject, preheader = (sentence_case(text, product) for text in (subject, preheader))
    return Proposal(subject, preheader), ""


def sentence_case(text: str, product: str) -> str:
    """Headline case to sentence case, with the product's own spelling. Small models write both."""
    lowered = re.sub(r"(?<!^)\b([A-Z])([a-z]*)\b", lambda m: m[0].lower(), text)
    whole = re.compile(rf"(?<!\w){re.escape(product)}(?!\w)", re.IGNORECASE)
    return whole.sub(lambda _: product, lowered)


def variables(cell: Cell, *, small: bool = False) -> dict[str, str]:
    """The values of a prompt's variables: facts of the brief, and the segment's description."""
    wording = cell.brief.wording[cell.language]
    benefit = slots_of(cell.brief, cell.language, cell.order)["benefit"]
    about = ". ".join(part for part in (cell.segment.name, cell.segment.description) if part)
    if small:  # percentages and terms of a description only confuse it
        about = " and ".join(readers(cell)) or wording.audience or "customers"
    formal = "addressing the reader as dumneavoastră" if cell.brief.address.value == "formal" else "addressing the reader as tu"  # fmt: skip
    return {
        "product": wording.product,
        "facts": " ".join(wording.facts) or wording.product,
        "benefit": benefit,
        "offer": wording.offer,
        "audience": wording.audience,
        "segment": " ".join(about.split())[:ABOUT_MAX],
        "tone": cell.brief.tone,
        "address": formal if cell.language is Language.RO else "addressing the reader as you",
        "language": _LANGUAGE[cell.language],
        "subject_max": str(cell.brief.limits.subject_max - 8),
        "preheader_max": str(cell.brief.limits.preheader_max - 10),
    }


def _ask(tier: Tier, cell: Cell) -> tuple[Messages, dict[str, Any], Held | None]:
    """The messages, the answer's schema, and how a small writer is held to form."""
    messages = render(cell.prompt, variables(cell, small=tier.small), small=tier.small)
    grammar = cell.prompt.small
    if not tier.small or grammar is None:
        limits = {
            "subject": cell.brief.limits.subject_max,
            "preheader": cell.brief.limits.preheader_max,
        }
        return messages, schema(cell.prompt, limits), None
    found = slots_of_small(cell)
    held = Held(
        closed=frozenset(word for texts in found.values() for text in texts for word in words(text))
        | grammar.words,
        ours=grammar.words,
        readers=frozenset(word for text in found["reader"] for word in words(text)),
    )
    return messages, small_schema(grammar, found), held


def _key(tier: Tier, cell: Cell, request: llm.Request, attempt: int) -> str:
    return request_key(
        {
            "tier": tier.name,
            "model": tier.endpoint.model,
            "endpoint": tier.endpoint.api_base if tier.region else "local",
            "prompt": cell.prompt.name,
            "version": cell.prompt.version,
            "language": cell.language.value,
            "system": request.system,
            "user": request.user,
            "schema": dict(request.schema),
            "temperature": request.temperature,
            "presence_penalty": request.presence_penalty,
            "seed": request.seed,
            "max_tokens": tier.endpoint.max_tokens,
            "variant": attempt,
            "facts": list(facts_of(cell.brief, cell.language)),
            "limits": [cell.brief.limits.subject_max, cell.brief.limits.preheader_max],
        }
    )


def _entry(
    tier: Tier,
    cell: Cell,
    around: Surroundings,
    outcome: CallOutcome,
    *,
    reason: str = "",
    answer: llm.Answer | None = None,
    cached: Cached | None = None,
    proposal: str = "",
    cache: CacheStatus = CacheStatus.NONE,
    seconds: float = 0.0,
    cost_micros: int = 0,
    model: str | None = None,
) -> LedgerEntry:
    """A row. A cache hit has its model and tokens but costs nothing."""
    return LedgerEntry(
        tier=tier.name,
        model=model
        if model is not None
        else answer.model
        if answer
        else cached.model
        if cached
        else "",
        prompt=cell.prompt.ref,
        task=cell.prompt.task,
        outcome=outcome,
        cache=cache,
        tokens_in=answer.tokens_in if answer else 0,
        tokens_out=answer.tokens_out if answer else 0,
        cost_micros=answer.cost_micros if answer else cost_micros,
        currency=tier.endpoint.currency,
        seconds=round(answer.seconds if answer else seconds, 3),
        reason=reason[:500],
        at=around.now(),
        segment_id=cell.segment.id,
        language=cell.language,
        proposal=proposal[:200],
    )
