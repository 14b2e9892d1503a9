"""Writes a campaign's variants: for each segment and language of the audience, one text an arm.

Joins the writing engine with the store and the local model server. No transaction is open while a
model is asked; a cell is stored when it is whole, so a second run writes only what is missing.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pigeonry.config import Home
from pigeonry.domain import Brief, CallOutcome, Draft, Language, Variant
from pigeonry.domain.progress import Progress, silent
from pigeonry.domain.segment import Segment
from pigeonry.errors import NotFound
from pigeonry.store import campaigns, completions, leads, ledger, prompts, segments
from pigeonry.store import variants as store
from pigeonry.store.session import Database

if TYPE_CHECKING:
    from generation.cache import Cached
    from generation.cascade import Surroundings, Tier
    from generation.prompts import Prompt
    from pigeonry.llmserver import LocalServer

LOCAL_TIER = "local"
GGUF = "smollm2-135m-instruct-q4_1.gguf"
CALL_SECONDS = 20.0  # longest that one answer of the local model may take
TRIES_MAX = 3
# What the text that ships was held to; generation.checks names what it refuses.
CHECKS = (
    "length", "language", "diacritics", "claims", "links", "banned", "required", "product",
    "placeholder", "spam", "capitals", "repetition", "sibling",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What was written and what it took. `refused` counts proposals by the reason of their refusal;
    `local_model` is "" when it was not used, and `note` then says why."""

    variants: tuple[Variant, ...]
    calls: int
    cache_hits: int
    refused: Mapping[str, int]
    cost_micros: int
    currency: str
    seconds: float
    local_model: str
    note: str
    proposals: int = 0
    accepted: int = 0


@dataclass(frozen=True, slots=True)
class _Cell:
    segment: Segment
    language: Language
    leads: int
    kept: tuple[Variant, ...]
    missing: tuple[str, ...]


def write_variants(
    db: Database,
    home: Home,
    campaign_id: int,
    *,
    now: datetime,
    progress: Progress = silent,
    server: Callable[[Path], LocalServer] | None = None,
    env: Mapping[str, str] = os.environ,
) -> WriteReport:
    """Write what is missing of a campaign's variants. Safe to run twice.

    Cells are the segments and languages of the audience that may be mailed; a language that the brief
    does not have falls back to its first. `server` starts the local model (tests give another).
    """
    from generation.brief import parse_brief
    from generation.library import load_library
    from generation.variants import draft_cell

    with db.read() as session:
        where = f"campaign {campaign_id}"
        brief = parse_brief(campaigns.brief_source(session, campaign_id), where=where)
        plan = campaigns.arms(session, campaign_id)
        before = ledger.spent(session, campaign_id)
        earlier = sum(
            tier.accepted + tier.refused + tier.failed - tier.cache_hits
            for tier in ledger.by_tier(session, campaign_id)
            if tier.tier == LOCAL_TIER
        )
    if not plan:
        raise NotFound(
            "its arms are not chosen yet",
            where=where,
            fix="run the campaign's earlier stages first",
        )
    arms = _prompts(db, plan, now)
    cells = _cells(db, brief, campaign_id, tuple(arms), now)
    todo = [cell for cell in cells if cell.missing]
    library = load_library()
    notes: list[str] = []
    used = ""
    with _tiers(home, todo, earlier, server, notes, env) as (tiers, local):
        around = _surroundings(db, home, brief, before.cost_micros)
        total, done = sum(len(cell.missing) for cell in todo), 0
        for turn, cell in enumerate(todo):
            progress("variants", done, total)
            if local is not None and not local.ensure():
                tiers = [tier for tier in tiers if tier.name != LOCAL_TIER]
                notes.append("The local model's server stopped and did not come back.")
                local = None
            drafts = draft_cell(
                brief,
                cell.segment,
                cell.language,
                {letter: arms[letter] for letter in cell.missing},
                library=library,
                tiers=tiers,
                around=around,
                turn=turn,
                kept=[variant.copy for variant in cell.kept],
                kept_templates=[variant.template for variant in cell.kept],
            )
            used = used or _local_model(drafts)
            _store(db, campaign_id, drafts, now)
            done += len(drafts)
        if total:
            progress("variants", total, total)
    return _report(db, campaign_id, brief, used, " ".join(dict.fromkeys(notes)))


def _prompts(
    db: Database, plan: Mapping[str, campaigns.ArmPlan], now: datetime
) -> dict[str, Prompt]:
    """The prompts of the arms in exactly the version that was chosen, from the files or the store."""
    from generation.prompts import load_prompts, parse_prompt

    current = {prompt.version: prompt for prompt in load_prompts()}
    chosen: dict[str, Prompt] = {}
    with db.write() as session:
        for letter, arm in plan.items():
            prompt = current.get(arm.version)
            if prompt is None:
                text = prompts.source(session, arm.version)
                if text is None:
                    raise NotFound(
                        f"the prompt {arm.prompt}@{arm.version} is neither a file nor stored",
                        where=f"arm {letter}",
                        fix="put the prompt file back, or start the campaign anew",
                    )
                prompt = parse_prompt(text, where=arm.prompt)
            chosen[letter] = prompt
        prompts.ensure(session, chosen.values(), now)
    return chosen


def _cells(
    db: Database, brief: Brief, campaign_id: int, letters: tuple[str, ...], now: datetime
) -> list[_Cell]:
    """The audience's cells, biggest first, with what is written of each already."""
    with db.read() as session:
        counted = leads.cells(session, countries=brief.countries, topic=brief.topic, now=now)
        written = store.of_campaign(session, campaign_id)
        sizes: Counter[tuple[int, Language]] = Counter()
        for (segment_id, language), count in counted.items():
            if segment_id is not None:
                known = language if language in brief.languages else brief.languages[0]
                sizes[segment_id, known] += count
        cells = []
        for (segment_id, language), count in sorted(sizes.items(), key=lambda kv: (-kv[1], kv[0])):
            kept = tuple(v for v in written if (v.segment_id, v.language) == (segment_id, language))
            have = {variant.arm for variant in kept}
            missing = tuple(letter for letter in letters if letter not in have)
            cells.append(_Cell(segments.get(session, segment_id), language, count, kept, missing))
    return cells


@contextmanager
def _tiers(
    home: Home,
    todo: list[_Cell],
    earlier: int,
    server: Callable[[Path], LocalServer] | None,
    notes: list[str],
    env: Mapping[str, str],
) -> Iterator[tuple[list[Tier], LocalServer | None]]:
    """The model tiers of this run, cheapest first, with the local server up while they are used."""
    hosted = _hosted(home, notes, env)
    settings = home.settings.llm
    wanted = sum(
        len(cell.missing) for cell in todo if cell.language.value in settings.local_languages
    )
    calls = max(0, settings.local_calls - earlier)
    local = _start(home, wanted if calls else 0, server, notes)
    if local is None:
        yield hosted, None
        return
    from generation.budget import Allowance
    from generation.cascade import Tier
    from generation.llm import Endpoint

    tier = Tier(
        name=LOCAL_TIER,
        endpoint=Endpoint(
            model=f"openai/{local.name}",
            api_base=local.url,
            timeout_seconds=min(CALL_SECONDS, settings.local_seconds),
            max_tokens=120,
        ),
        languages=settings.local_languages,
        small=True,
        tries=max(1, min(TRIES_MAX, calls // max(1, wanted))),
        allowance=Allowance(calls, settings.local_seconds),
    )
    try:
        yield [tier, *hosted], local
    finally:
        local.stop()


def _start(
    home: Home, wanted: int, server: Callable[[Path], LocalServer] | None, notes: list[str]
) -> LocalServer | None:
    """The running server, or None with a note that says why the copy library writes alone."""
    from pigeonry.llmserver import LocalServer, ServerUnavailable

    settings = home.settings.llm
    if not settings.local:
        notes.append("The local model is switched off (llm.local); the copy library wrote.")
        return None
    if not wanted or not settings.local_calls:
        spoken = " or ".join(settings.local_languages) or "no language"
        if not wanted:
            notes.append(f"The local model had nothing to write: it writes {spoken}.")
        return None
    weights = Path(settings.local_model) if settings.local_model else home.models / GGUF
    made = server(weights) if server else LocalServer(weights, threads=settings.local_threads)
    try:
        made.start()
    except ServerUnavailable as error:
        notes.append(f"The local model was not used: {error.what}; the copy library wrote.")
        return None
    return made


def _hosted(home: Home, notes: list[str], env: Mapping[str, str]) -> list[Tier]:
    """The configured tiers whose key is there, in their order."""
    from generation.cascade import Tier
    from generation.llm import Endpoint

    tiers = []
    for wanted in home.settings.llm.tiers:
        secret = env.get(wanted.key_env, "") if wanted.key_env else ""
        if wanted.key_env and not secret:
            notes.append(f"The tier {wanted.name} was not used: {wanted.key_env} is not set.")
            continue
        tiers.append(
            Tier(
                name=wanted.name,
                endpoint=Endpoint(
                    model=wanted.model,
                    api_base=wanted.endpoint,
                    api_key=secret,
                    price_in=wanted.price_in,
                    price_out=wanted.price_out,
                    currency=wanted.currency,
                    timeout_seconds=wanted.timeout_seconds,
                    max_tokens=wanted.max_tokens,
                ),
                languages=wanted.languages,
                tasks=wanted.tasks,
                region=wanted.region or ("" if _loopback(wanted.endpoint) else "unstated"),
            )
        )
    return tiers


def _loopback(endpoint: str) -> bool:
    return urlsplit(endpoint).hostname in ("127.0.0.1", "localhost", "::1")


def _surroundings(db: Database, home: Home, brief: Brief, spent: int) -> Surroundings:
    """Prompts hold the brief and the segment's description only; the gate's detectors look for
    anything personal that got in all the same."""
    from generation.budget import Budget
    from generation.cascade import Surroundings

    return Surroundings(
        cache=DatabaseCache(db),
        budget=Budget(brief.budget_micros, spent_micros=spent),
        now=lambda: datetime.now(UTC),
        regions=home.settings.llm.allowed_regions,
    )


class DatabaseCache:
    """The exact cache in the database; each call is one short transaction. `owner` tells two askers
    apart, in one process or in many."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._owner = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"

    def claim(self, key: str, *, seconds: float) -> Cached | bool:
        from generation.cache import Cached

        with self._db.write() as session:
            found = completions.claim(
                session, key, owner=self._owner, now=datetime.now(UTC), seconds=seconds
            )
        if isinstance(found, bool):
            return found
        return Cached(
            found.model, found.response, found.tokens_in, found.tokens_out, found.cost_micros
        )

    def keep(self, key: str, answer: Cached) -> None:
        stored = completions.StoredAnswer(
            answer.model, answer.response, answer.tokens_in, answer.tokens_out, answer.cost_micros
        )
        with self._db.write() as session:
            completions.keep(session, key, stored, owner=self._owner)

    def release(self, key: str) -> None:
        with self._db.write() as session:
            completions.release(session, key, owner=self._owner)


def _store(db: Database, campaign_id: int, drafts: tuple[Draft, ...], now: datetime) -> None:
    with db.write() as session:
        for draft in drafts:
            store.add(session, campaign_id, draft, passed=CHECKS, at=now)


def _local_model(drafts: tuple[Draft, ...]) -> str:
    return next(
        (
            entry.model
            for draft in drafts
            for entry in draft.ledger
            if entry.tier == LOCAL_TIER and entry.model
        ),
        "",
    )


def _report(db: Database, campaign_id: int, brief: Brief, used: str, note: str) -> WriteReport:
    with db.read() as session:
        written = tuple(store.of_campaign(session, campaign_id))
        spent = ledger.spent(session, campaign_id)
        refused = store.refusals(session, campaign_id)
        attempts = [entry for _, entry in ledger.entries(session, campaign_id)]
    answered = [
        entry
        for entry in attempts
        if entry.tier != "library" and entry.outcome in (CallOutcome.ACCEPTED, CallOutcome.REFUSED)
    ]
    report = WriteReport(
        variants=written,
        calls=spent.calls,
        cache_hits=spent.cache_hits,
        refused=refused,
        cost_micros=spent.cost_micros,
        currency=spent.currency,
        seconds=spent.seconds,
        local_model=used or next((e.model for e in answered if e.tier == LOCAL_TIER), ""),
        note=note,
        proposals=len(answered),
        accepted=sum(entry.outcome is CallOutcome.ACCEPTED for entry in answered),
    )
    return replace(report, currency=report.currency or brief.budget_currency)
